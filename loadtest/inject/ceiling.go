package inject

import (
	"context"
	"fmt"
	"net/url"
	"runtime"
	"time"
)

// Ceiling measures how many requests per second the event loops of this process can make, with a
// number of VUs for the length of window, against a server on loopback that does nothing but
// answer. A server that gives as many is faster than the injector, so that a level measured the
// latter. The error is [errors.ErrUnsupported] where there is no event loop.
func Ceiling(ctx context.Context, vus int, window time.Duration) (float64, error) {
	server, err := startNullServer(loopsFor(runtime.GOMAXPROCS(0)))
	if err != nil {
		return 0, fmt.Errorf("ceiling of the injector: %w", err)
	}
	defer server.stop()
	target, err := NewHTTP(HTTPConfig{URL: &url.URL{Scheme: "http", Host: server.address, Path: "/"}})
	if err != nil {
		return 0, fmt.Errorf("ceiling of the injector: %w", err)
	}
	m, err := Run(ctx, target, Load{VUs: vus, Warmup: window / 4, Window: window, Timeout: time.Second})
	if err != nil {
		return 0, fmt.Errorf("ceiling of the injector: %w", err)
	}
	if n := m.Failures.Total(); n > 0 {
		return 0, fmt.Errorf("ceiling of the injector: %d requests failed: %v", n, m.Failures.ByName())
	}
	return m.Throughput(), nil
}
