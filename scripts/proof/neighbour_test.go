package proof

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Arguments that make this test binary a program.
const (
	parentArgument = "have-a-neighbour" // a proof that has a neighbour and says that it has
	failArgument   = "fail"             // a proof that fails
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case neighbourArgument, failArgument:
			Main("theproof", func(context.Context, []string, io.Writer, io.Writer) error { return errors.New("no server") })
			return
		case parentArgument:
			if _, err := StartNeighbour(); err != nil {
				panic(err)
			}
			os.Stdout.WriteString("ready\n")
			select {}
		}
	}
	os.Exit(m.Run())
}

func TestNeighbour(t *testing.T) {
	begun := time.Now()
	n, err := StartNeighbour()
	require.NoError(t, err)
	time.Sleep(time.Second)
	require.NoError(t, n.Stop())
	share := (n.cmd.ProcessState.UserTime() + n.cmd.ProcessState.SystemTime()).Seconds() / time.Since(begun).Seconds()
	require.InDelta(t, 0.35, share, 0.25, "it burns half of the time, or less where the machine is busy")
}

// TestNeighbourThatEndsIsMissed holds that no comparison counts as one beside a neighbour that was
// not there.
func TestNeighbourThatEndsIsMissed(t *testing.T) {
	n, err := StartNeighbour()
	require.NoError(t, err)
	require.NoError(t, n.cmd.Process.Kill())
	require.ErrorContains(t, n.Stop(), "killed")
}

// TestNeighbourDiesWithTheProof holds that a proof that is killed leaves nothing behind that burns.
func TestNeighbourDiesWithTheProof(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	proof := exec.Command(os.Args[0], parentArgument)
	proof.Stderr = w // the neighbour has it as well, so it ends when both have ended
	out, err := proof.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, proof.Start())
	w.Close()
	said, err := io.ReadAll(io.LimitReader(out, int64(len("ready\n"))))
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(said))
	require.NoError(t, proof.Process.Kill())
	require.Error(t, proof.Wait(), "it was killed")
	require.NoError(t, r.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = io.ReadAll(r)
	require.NoError(t, err, "the neighbour has not ended")
}
