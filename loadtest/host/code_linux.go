package host

import (
	"bytes"
	"fmt"
	"os"
)

// MakesCode reports whether a process of the server at address, or of launch, has memory that can
// be executed and is of no file: a compiler at run time has put code there, or is going to. Such
// servers, as those on a Java virtual machine, get faster with the requests that they have served,
// often in steps. False where it cannot be known.
func MakesCode(address string, launch Launch) bool {
	all, err := processes()
	if err != nil {
		return false
	}
	roots, err := serving(all, address)
	if err != nil {
		return false
	}
	for _, m := range launch.members(all, tree(all, roots)) {
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", m.pid))
		if err == nil && madeCode(maps) {
			return true
		}
	}
	return false
}

// madeCode reports whether a table of mappings, as proc_pid_maps(5) describes it, has memory that
// can be executed and is of no file. What the kernel gives to every process, such as [vdso], has a
// name in brackets; memory that two mappings share, one to write code and one to run it, is of a
// file without a place, such as /memfd:doublemapper (deleted).
func madeCode(maps []byte) bool {
	for line := range bytes.Lines(maps) {
		fields := bytes.Fields(line)
		const permissions, path = 1, 5
		if len(fields) < path || !bytes.ContainsRune(fields[permissions], 'x') {
			continue
		}
		if len(fields) == path {
			return true
		}
		for _, placeless := range []string{"/memfd:", "/dev/zero", "[anon:", "[anon_shmem:", "[heap]"} {
			if bytes.HasPrefix(fields[path], []byte(placeless)) {
				return true
			}
		}
	}
	return false
}
