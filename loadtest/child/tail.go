package child

import "sync"

// Tail is a writer that keeps the end of what is written to it: the last 40 lines, of which none is
// longer than all may be. The zero value is empty. It can be read while it is written.
type Tail struct {
	mu   sync.Mutex
	said []byte
}

// How much is kept.
const (
	tailLines = 40
	tailBytes = tailLines * 4 << 10
)

// Write never fails: what a process says must not be able to stop it.
func (t *Tail) Write(piece []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, piece...)
	if len(t.said) > 2*tailBytes { // not every time: it moves all that is kept
		t.said = append(t.said[:0], t.said[len(t.said)-tailBytes:]...)
	}
	return len(piece), nil
}

// String is what is kept.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.said[max(0, len(t.said)-tailBytes):]
	from := len(last)
	for lines := 0; from > 0; from-- {
		if last[from-1] == '\n' && from < len(last) {
			if lines++; lines == tailLines {
				break
			}
		}
	}
	return string(last[from:])
}
