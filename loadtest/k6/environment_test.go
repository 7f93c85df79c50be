package k6

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

func TestEnvironment(t *testing.T) {
	ours := []string{"A=b", "K6_OUT=json", "k6_x=y", "HTTP_PROXY=p", "https_proxy=p", "GODEBUG=netdns=go", "NO_PROXY=*"}
	require.Empty(t, cmp.Diff(
		[]string{"A=b", "NO_PROXY=*", "GODEBUG=netdns=go,http2client=0", "K6_AUTO_EXTENSION_RESOLUTION=false"},
		environment(ours, inject.HTTPConfig{NoHTTP2: true})))
	require.Empty(t, cmp.Diff([]string{"A=b", "K6_AUTO_EXTENSION_RESOLUTION=false"},
		environment([]string{"A=b"}, inject.HTTPConfig{})))
}
