package proof

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// neighbourArgument makes a program the neighbour.
const neighbourArgument = "be-the-neighbour"

// isNeighbour reports whether a program was started by [StartNeighbour].
func isNeighbour(args []string) bool { return len(args) == 2 && args[1] == neighbourArgument }

// beNeighbour burns CPU for a tenth of a second, rests for as long, and so on, until there is
// nobody left who could write to lifeline.
func beNeighbour(lifeline io.Reader) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, lifeline) // a broken lifeline has ended, too
	}()
	const half = 100 * time.Millisecond
	for {
		for begun := time.Now(); time.Since(begun) < half; {
			select {
			case <-ended:
				return
			default:
			}
		}
		select {
		case <-ended:
			return
		case <-time.After(half):
		}
	}
}

// Neighbour is a process that burns CPU. It ends with this process, in whatever way that ends: its
// lifeline is a pipe of which only this process holds the other end.
type Neighbour struct {
	cmd      *exec.Cmd
	lifeline io.Closer
}

// StartNeighbour starts this program, whose function main calls [Main], as a neighbour.
func StartNeighbour() (n Neighbour, err error) {
	program, err := os.Executable()
	if err != nil {
		return n, fmt.Errorf("neighbour: %w", err)
	}
	n.cmd = exec.Command(program, neighbourArgument)
	n.cmd.Stderr = os.Stderr
	if n.lifeline, err = n.cmd.StdinPipe(); err != nil {
		return n, fmt.Errorf("neighbour: %w", err)
	}
	if err := n.cmd.Start(); err != nil {
		return n, fmt.Errorf("neighbour: %w", err)
	}
	return n, nil
}

// Stop ends the neighbour and waits for that. The error says that it had not burnt until then.
func (n Neighbour) Stop() error {
	_ = n.lifeline.Close()
	if err := n.cmd.Wait(); err != nil {
		return fmt.Errorf("neighbour: %w", err)
	}
	return nil
}
