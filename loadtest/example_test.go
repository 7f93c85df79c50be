//go:build !load

package loadtest_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"rampart/loadtest"
)

// A ramp of a function that takes 10 ms, however many call it at the same time: throughput doubles
// with the VUs, until the ramp may not have more of them.
func ExampleRamp() {
	target := loadtest.Func(func(ctx context.Context) error {
		select {
		case <-time.After(10 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	ramp := loadtest.Ramp{
		Experiment: loadtest.Experiment{Target: target, Window: 200 * time.Millisecond},
		MaxVUs:     4,
	}
	result, err := ramp.Run(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	best, _ := result.Capacity()
	fmt.Printf("%s at %d VUs, %d levels\n", result.Stop.Reason, best.VUs, len(result.Levels))
	// Output: max-vus at 4 VUs, 3 levels
}
