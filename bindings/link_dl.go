//go:build darwin || freebsd || linux || netbsd

package bindings

import "github.com/ebitengine/purego"

// link fills functions with the symbols of the library at path.
func link(path string, functions map[string]any) error {
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return err
	}
	for name, function := range functions {
		symbol, err := purego.Dlsym(lib, name)
		if err != nil {
			return err // the library stays loaded: closing it would hang
		}
		purego.RegisterFunc(function, symbol)
	}
	return nil
}
