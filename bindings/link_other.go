//go:build !(darwin || freebsd || linux || netbsd)

package bindings

import "errors"

func link(string, map[string]any) error {
	return errors.New("this system has no dlopen")
}
