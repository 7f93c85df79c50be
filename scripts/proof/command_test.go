package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMainFails holds what a program says that fails, and its exit code.
func TestMainFails(t *testing.T) {
	var stderr bytes.Buffer
	cmd := exec.Command(os.Args[0], failArgument)
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Run(), &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Equal(t, "theproof: no server\n", stderr.String())
}

// throw is an outcome.
type throw struct{ X int }

func (x throw) String() string { return fmt.Sprintf("throw %d", x.X) }

func command(t *testing.T, stderr *bytes.Buffer, args ...string) (c *Command, seed uint64) {
	c = NewCommand("theproof", "throw", &seed, stderr)
	require.NoError(t, c.Parse(args))
	return c, seed
}

// TestMake holds that a proof in parts makes each trial once, whatever ends a part.
func TestMake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.jsonl")
	var made []int
	part := func(ctx context.Context, args []string, try func(i int) error) (string, error) {
		var stderr bytes.Buffer
		c, _ := command(t, &stderr, append(args, "-log", path)...)
		r, err := Open[struct{}, throw](c.Log)
		require.NoError(t, err)
		defer func() { require.NoError(t, r.Close()) }()
		if r.Beginning == nil {
			require.NoError(t, r.Begin(struct{}{}))
		}
		err = r.Make(ctx, c, 4, 7, func(_ context.Context, i int) (throw, error) {
			if err := try(i); err != nil {
				return throw{}, err
			}
			made = append(made, i)
			return throw{i}, nil
		})
		return stderr.String(), err
	}
	always := func(int) error { return nil }

	ctx, cancel := context.WithCancel(t.Context())
	said, err := part(ctx, nil, func(i int) error {
		if i == 1 {
			cancel()
			return context.Canceled
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, "4 throws, seed 7, 0 done\n1 of 4: throw 0; about 0s left\ninterrupted after 1 of 4 throws\n", said)

	said, err = part(t.Context(), []string{"-for", "1ns"}, always)
	require.NoError(t, err)
	require.Equal(t, "4 throws, seed 7, 1 done\ntime is over: the same command goes on\n", said)

	errEdge := errors.New("it stands on its edge")
	_, err = part(t.Context(), nil, func(i int) error {
		if i == 2 {
			return errEdge
		}
		return nil
	})
	require.ErrorIs(t, err, errEdge)

	said, err = part(t.Context(), nil, always)
	require.NoError(t, err)
	require.Contains(t, said, "4 of 4: throw 3; about 0s left\n")
	require.Equal(t, []int{0, 1, 2, 3}, made)

	said, err = part(t.Context(), nil, always)
	require.NoError(t, err)
	require.Equal(t, "4 throws, seed 7, 4 done\n", said, "nothing is left to do")
}

func TestGoesOn(t *testing.T) {
	var stderr bytes.Buffer
	c, seed := command(t, &stderr, "-log", "x.jsonl")
	require.Zero(t, seed)
	require.NoError(t, c.GoesOn("-n 3", "-n 3", 5))
	require.EqualError(t, c.GoesOn("-n 4", "-n 3", 5), "-log x.jsonl: it has -n 3 -seed 5; want the same, or another file")
	c, seed = command(t, &stderr, "-log", "x.jsonl", "-seed", "6")
	require.Equal(t, uint64(6), seed)
	require.NoError(t, c.GoesOn("-n 3", "-n 3", 6))
	require.ErrorContains(t, c.GoesOn("-n 3", "-n 3", 5), "it has -n 3 -seed 5")
}
