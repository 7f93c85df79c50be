package host

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestMadeCode(t *testing.T) {
	const plain = `00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/server
00e03000-00e24000 rw-p 00000000 00:00 0           [heap]
35b1800000-35b1820000 r-xp 00000000 08:02 135522  /usr/lib64/ld-2.15.so
7f0000000000-7f0000021000 rw-p 00000000 00:00 0
7fff2e1e7000-7fff2e1e9000 r-xp 00000000 00:00 0   [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
`
	require.False(t, madeCode([]byte(plain)))
	require.False(t, madeCode(nil))
	for _, line := range []string{
		"7f61c8000000-7f61c8270000 rwxp 00000000 00:00 0 \n", // a Java virtual machine
		"7f61c8000000-7f61c8270000 r-xp 00000000 00:00 0",
		"7f2d38b70000-7f2d38b80000 r-xs 00037000 00:01 4104 /memfd:doublemapper (deleted)\n", // .NET
		"7f2d38b70000-7f2d38b80000 rwxs 00000000 00:01 4104 /dev/zero (deleted)\n",           // PHP
		"7f2d38b70000-7f2d38b80000 r-xp 00000000 00:00 0 [anon:v8]\n",
	} {
		require.True(t, madeCode([]byte(plain+line)), line)
	}
}

// codeEnv gives a server of these tests memory for code.
const codeEnv = "RAMPART_TEST_CODE"

// mapCode maps a page as compilers at run time do. Nothing happens where the kernel does not allow
// it.
func mapCode() {
	const all = unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC
	_, _ = unix.Mmap(-1, 0, unix.Getpagesize(), all, unix.MAP_PRIVATE|unix.MAP_ANON)
}

func TestMakesCode(t *testing.T) {
	_, words := play(t, "serve 127.0.0.1:0")
	require.False(t, MakesCode(words[0], Launch{}))
	require.False(t, MakesCode("192.0.2.7:80", Launch{}), "elsewhere")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	require.False(t, MakesCode(l.Addr().String(), Launch{}), "this process itself serves, of which nothing is known")

	cmd, words := play(t, "serve 127.0.0.1:0", codeEnv+"=1")
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", cmd.Process.Pid))
	require.NoError(t, err)
	if !bytes.Contains(maps, []byte(" rwxp ")) {
		t.Skip("SKIPPED: this kernel maps no memory that can be written and executed")
	}
	require.True(t, MakesCode(words[0], Launch{}))
	require.True(t, MakesCode(words[0], Launch{PID: cmd.Process.Pid}))
}
