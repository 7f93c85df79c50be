package gobench

import (
	"context"
	"sync"
)

// Suite is the benchmarks of a package, as both sides have them.
type Suite struct {
	Package string // import path; empty: not known
	Sides   [2]*Source

	arrangements int // of functions, of each side; 1: the linker's own
}

// Source makes the test binaries of one side.
type Source struct {
	Dir  string   // where they run
	Args []string // what they are told
	// Link makes a binary, and returns its path. Layout 0 is as the linker makes it; each other one
	// has its functions in another order.
	Link func(ctx context.Context, layout int) (path string, err error)

	mu    sync.Mutex
	paths map[int]string
}

// Prebuilt is a source that has one binary.
func Prebuilt(path, dir string, args ...string) *Source {
	return &Source{Dir: dir, Args: args, Link: func(context.Context, int) (string, error) { return path, nil }}
}

// binary returns a binary, which is made once.
func (s *Source) binary(ctx context.Context, layout int) (Binary, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, ok := s.paths[layout]
	if !ok {
		var err error
		if path, err = s.Link(ctx, layout); err != nil {
			return Binary{}, err
		}
		if s.paths == nil {
			s.paths = make(map[int]string)
		}
		s.paths[layout] = path
	}
	return Binary{Path: path, Dir: s.Dir, Args: s.Args}, nil
}

// mostLayouts is as many as the first look has blocks.
const mostLayouts = 9

// layouts are those of both sides in a block. When all were there, the pairs are others.
func (s *Suite) layouts(block int) [2]int {
	n := s.arrangements
	if n <= 1 {
		return [2]int{}
	}
	round, i := (block-1)/n, (block-1)%n
	return [2]int{1 + i, 1 + (i+round)%n}
}
