package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// interfaceBytes is what has left the loopback interface, headers included.
func interfaceBytes() (uint64, error) {
	// /sys shows the namespace that mounted it; /proc/net that of the reader.
	b, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		name, rest, ok := strings.Cut(line, ":")
		if f := strings.Fields(rest); ok && strings.TrimSpace(name) == "lo" && len(f) > 8 {
			return strconv.ParseUint(f[8], 10, 64)
		}
	}
	return 0, fmt.Errorf("no loopback interface in %q", b)
}
