//go:build linux

package prefork

import (
	"os"
	"os/signal"
	"sync"
)

// subscribe returns the signals of some kinds that this process gets, until stop is called. As in
// the kernel, a signal that comes again before it was taken comes once, and none is lost because
// others came before it. A channel given to [signal.Notify] has no room for more than it holds, so
// four SIGUSR1 in a row could make a SIGTERM vanish.
func subscribe(kinds ...os.Signal) (signals <-chan os.Signal, stop func()) {
	out, done := make(chan os.Signal), make(chan struct{})
	var relays sync.WaitGroup
	var places []chan os.Signal
	for _, kind := range kinds {
		place := make(chan os.Signal, 1)
		signal.Notify(place, kind)
		places = append(places, place)
		relays.Go(func() {
			for {
				select {
				case <-done:
					return
				case s := <-place:
					select {
					case <-done:
						return
					case out <- s:
					}
				}
			}
		})
	}
	return out, func() {
		for _, place := range places {
			signal.Stop(place)
		}
		close(done)
		relays.Wait()
	}
}
