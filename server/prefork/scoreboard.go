//go:build linux

package prefork

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// state is where the worker of a slot stands.
type state uint64

const (
	stateFree     state = iota // nobody, and nobody to come
	stateWaiting               // to be started again after a delay
	stateStarting              // runs, does not serve yet
	stateReady                 // serves
	stateDraining              // finishes what it has
)

func (s state) String() string {
	switch s {
	case stateFree:
		return "free"
	case stateWaiting:
		return "waiting"
	case stateStarting:
		return "starting"
	case stateReady:
		return "ready"
	case stateDraining:
		return "draining"
	}
	return fmt.Sprintf("state %d", uint64(s))
}

// boardMagic marks the memory as a scoreboard with this layout. It changes with the layout.
const boardMagic = 0x7072_6566_6f72_6b04

// The scoreboard is an array of 64-bit words: a head, then one stretch of words for each slot. A
// word has one writer, given here, or is only ever changed by atomic operations that are right from
// anywhere.
const (
	headMagic    = iota
	headSlots    // number of slots
	headGauges   // gauges in each slot
	headCounters // counters in each slot
	headMaster   // pid of the master
	headStarted  // start of the master, Unix time in ns
	headGrace    // Config.Grace in ns
	headUsed     // slots before this one were in use at some time; master
	// These two change all the time and have a cache line of their own.
	headCPU     // highest CPU time ever told, ns; all
	headAccepts // connections accepted by anybody; all

	// All by the master.
	headGeneration = 2 * lineWords      // the current one
	headWanted     = headGeneration + 1 // workers
	headReloadEnd  = headGeneration + 2 // when the last reload ended, Unix time in ns; 0: there was none
	headStates     = headGeneration + 3 // how often the state of a slot was changed; master and workers
	headReload     = headGeneration + 4 // text: why the last reload failed
	headWords      = 4 * lineWords
)

const (
	slotState       = iota         // master, except for draining: the worker
	slotPID                        // master; 0 without a process
	slotGeneration                 // master
	slotConnections                // worker: open connections
	slotInFlight                   // worker: requests in a handler
	slotOldest                     // worker: when the oldest of those began, CLOCK_MONOTONIC in ns; 0 without one
	slotRequests                   // worker: requests done; never reset
	slotMissed                     // 1: did not take its turn. Others set it, the worker clears it
	slotStarted                    // master: start of the worker, Unix time in ns
	slotCPU                        // master: CPU time of all dead workers of this slot, ns; never reset
	slotRestarts                   // master; never reset
	slotLimit                      // master: requests until the worker asks to be replaced; 0: never
	slotDeadline                   // master: when the worker must be gone, CLOCK_MONOTONIC in ns; 0: nothing was said
	slotBeat                       // worker: when it last showed that it lives, CLOCK_MONOTONIC in ns
	slotEnd                        // master, text: how the last worker that died here ended
	slotWords       = slotEnd + 16 // then the gauges, then the counters
)

// lineWords is how many words may be fetched together: a cache line of 64 bytes and its neighbour,
// which x86 processors fetch as a pair. Slots start at multiples of it, so that no worker slows
// another one down.
const lineWords = 16

// scoreboard is memory shared by the master and all workers. A slot belongs to a place, not to a
// process: the worker in it may die and be replaced, its counters stay. That bounds the memory, and
// sums over all slots never go backwards.
type scoreboard struct {
	mem                             []byte
	words                           []atomic.Uint64
	slots, gauges, counters, stride int
}

// slotStride is the number of words from one slot to the next.
func slotStride(gauges, counters int) int {
	n := slotWords + gauges + counters
	return (n + lineWords - 1) / lineWords * lineWords
}

// newScoreboard makes a scoreboard full of zeros and the file through which workers get at it.
func newScoreboard(slots, gauges, counters int) (*scoreboard, *os.File, error) {
	fd, err := unix.MemfdCreate("prefork-scoreboard", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, fmt.Errorf("prefork: no shared memory: memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), "scoreboard")
	size := 8 * (headWords + slots*slotStride(gauges, counters))
	if err := file.Truncate(int64(size)); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("prefork: shared memory of %d bytes: %w", size, err), file.Close())
	}
	// A size that nobody can change: a worker cannot take the memory away under the others' feet.
	const fixed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, fixed); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("prefork: sealing the shared memory: %w", err), file.Close())
	}
	b, err := mapWords(file, size)
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	b.words[headSlots].Store(uint64(slots))
	b.words[headGauges].Store(uint64(gauges))
	b.words[headCounters].Store(uint64(counters))
	b.words[headMagic].Store(boardMagic)
	b.measure()
	return b, file, nil
}

// privateScoreboard is one with a single slot in memory that is not shared: for a process that
// serves alone. There is nothing to close, so a handler that outlives the service may still write
// to it.
func privateScoreboard() *scoreboard {
	b := &scoreboard{words: make([]atomic.Uint64, headWords+slotStride(0, 0))}
	b.words[headSlots].Store(1)
	b.measure()
	return b
}

// openScoreboard maps a scoreboard that another process made.
func openScoreboard(file *os.File) (*scoreboard, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("prefork: scoreboard: %w", err)
	}
	if info.Size() < 8*headWords {
		return nil, fmt.Errorf("prefork: file of %d bytes is no scoreboard", info.Size())
	}
	b, err := mapWords(file, int(info.Size()))
	if err != nil {
		return nil, err
	}
	b.measure()
	if b.words[headMagic].Load() != boardMagic || len(b.words) != headWords+b.slots*b.stride {
		return nil, errors.Join(errors.New("prefork: not a scoreboard of this version"), b.close())
	}
	return b, nil
}

func mapWords(file *os.File, size int) (*scoreboard, error) {
	mem, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("prefork: mapping the scoreboard: %w", err)
	}
	words := unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(mem))), size/8)
	return &scoreboard{mem: mem, words: words}, nil
}

// measure takes the dimensions from the head.
func (b *scoreboard) measure() {
	b.slots = int(b.words[headSlots].Load())
	b.gauges = int(b.words[headGauges].Load())
	b.counters = int(b.words[headCounters].Load())
	b.stride = slotStride(b.gauges, b.counters)
}

func (b *scoreboard) close() error {
	b.words = nil
	return unix.Munmap(b.mem)
}

func (b *scoreboard) slot(i int) []atomic.Uint64 {
	at := headWords + i*b.stride
	return b.words[at : at+b.stride : at+b.stride]
}

func (b *scoreboard) gaugesOf(i int) []atomic.Uint64 {
	return b.slot(i)[slotWords : slotWords+b.gauges : slotWords+b.gauges]
}

func (b *scoreboard) countersOf(i int) []atomic.Uint64 {
	at := slotWords + b.gauges
	return b.slot(i)[at : at+b.counters : at+b.counters]
}

// end is how the last worker that died in a slot ended.
func (b *scoreboard) end(i int) text { return text(b.slot(i)[slotEnd:slotWords]) }

// reload is why the last reload failed.
func (b *scoreboard) reload() text { return text(b.words[headReload:headWords]) }

// all is the words of every slot that was ever in use. There are many more slots than that, for
// workers that may be added.
func (b *scoreboard) all(of func(int) []atomic.Uint64) [][]atomic.Uint64 {
	every := make([][]atomic.Uint64, b.words[headUsed].Load())
	for i := range every {
		every[i] = of(i)
	}
	return every
}

func (b *scoreboard) state(i int) state { return state(b.slot(i)[slotState].Load()) }

func (b *scoreboard) setState(i int, s state) {
	b.slot(i)[slotState].Store(uint64(s))
	b.words[headStates].Add(1)
	if used := &b.words[headUsed]; uint64(i) >= used.Load() {
		used.Store(uint64(i) + 1) // by the master, which gives a slot its first state
	}
}

func (b *scoreboard) grace() time.Duration { return time.Duration(b.words[headGrace].Load()) }

// loads is what the workers have open of all slots that were ever in use. It is put in into, which
// has an element for each slot.
func (b *scoreboard) loads(into []load) []load {
	into = into[:b.words[headUsed].Load()]
	for i := range into {
		s := b.slot(i)
		into[i] = load{
			open: s[slotConnections].Load(),
			out:  state(s[slotState].Load()) != stateReady || s[slotMissed].Load() != 0,
		}
	}
	return into
}

// retire takes a dead worker off its slot: what it had at the moment is gone, what it counted
// stays.
func (b *scoreboard) retire(i int) {
	s := b.slot(i)
	for _, w := range []int{slotGeneration, slotConnections, slotInFlight, slotOldest, slotMissed, slotStarted, slotLimit,
		slotDeadline, slotBeat} {
		s[w].Store(0)
	}
	gauges := b.gaugesOf(i)
	for g := range gauges {
		gauges[g].Store(0)
	}
}

// cpuTime is the CPU time of the slots' workers, living and dead.
//
// The master, when a worker has died, first sets the slot's pid to 0, then waits for the process
// (until then its pid cannot belong to another one), then adds its time to slotCPU. Readers look in
// the opposite order. So what a reader finds in between is at worst missing, never counted twice;
// and as nobody tells less than was told before, that is never seen.
func (b *scoreboard) cpuTime() time.Duration {
	var sum time.Duration
	for i := range b.slots {
		s := b.slot(i)
		sum += time.Duration(s[slotCPU].Load())
		if pid := s[slotPID].Load(); pid != 0 {
			if used, err := processCPU(int(pid)); err == nil {
				sum += used
			}
		}
	}
	told := &b.words[headCPU]
	for {
		high := told.Load()
		if uint64(sum) <= high {
			return time.Duration(high)
		}
		if told.CompareAndSwap(high, uint64(sum)) {
			return sum
		}
	}
}
