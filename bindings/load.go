package bindings

import (
	"fmt"
	"path/filepath"
	"runtime"
	"unsafe"
)

// Library is a loaded libx0x.so: its functions as they are in x0x.h, and the client on top.
type Library struct{ Functions }

// LoadOptions say which library to load.
type LoadOptions struct {
	// Path is the file. Nothing is searched and no environment variable is read.
	Path string
	// AnyPlatform loads it on other systems than Linux, where nobody has tried it.
	AnyPlatform bool
}

// Load loads libx0x.so and checks that it serves the header that this package was generated
// from. It is never unloaded: a Go runtime cannot be (golang.org/issue/11100). Loading a path
// again gives the same library.
//
// Errors: EInvalidArgument (no path), EUnsupported (this system; a library of another ABI
// version; a file that cannot be loaded or lacks a function).
func Load(o LoadOptions) (*Library, error) {
	const op = "load"
	if runtime.GOOS != "linux" && !o.AnyPlatform {
		return nil, errorf(op, EUnsupported, "two Go runtimes in one process are only tried on Linux, this is %s: import core/x0x instead", runtime.GOOS)
	}
	if o.Path == "" {
		return nil, errorf(op, EInvalidArgument, "the path of libx0x.so is needed")
	}
	path, err := filepath.Abs(o.Path) // a bare name would be searched in the system's folders
	if err != nil {
		return nil, errorf(op, EInvalidArgument, "%v", err)
	}
	l := &Library{}
	if err := link(path, l.symbols()); err != nil {
		return nil, errorf(op, EUnsupported, "%v", err)
	}
	if err := compatible(l.AbiVersion()); err != nil {
		return nil, errorf(op, EUnsupported, "%s: %v", path, err)
	}
	return l, nil
}

// compatible applies the rule of x0x.h: the same major version, an equal or higher minor one.
func compatible(version uint32) error {
	major, minor := version>>16, version&0xffff
	if major != AbiMajor || minor < AbiMinor {
		return fmt.Errorf("the library has ABI version %d.%d, this client needs %d.%d or a later %d.x", major, minor, AbiMajor, AbiMinor, AbiMajor)
	}
	return nil
}

// BuildLine returns one line about the build of the library.
func (l *Library) BuildLine() (string, error) {
	buf := make([]byte, 256)
	for range 2 { // once more if the line is longer
		var n uintptr
		st := l.BuildInfo(unsafe.Pointer(&buf[0]), uintptr(len(buf)), &n)
		switch {
		case st == Ok && n < uintptr(len(buf)):
			return string(buf[:n]), nil
		case st != ETooSmall:
			return "", &Error{Op: "build info", Status: st}
		}
		buf = make([]byte, n+1)
	}
	return "", errorf("build info", ETooSmall, "the line grows")
}
