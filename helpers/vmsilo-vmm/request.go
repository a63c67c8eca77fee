package main

import (
	"fmt"
	"strconv"

	"vmsilo/vmm/control"
)

// request is something that a VMM can be asked for.
type request struct {
	do              func(control.VMM) error
	pauses, resumes bool
}

// parse reads a request: its name, and what it has behind that.
func parse(words []string) (request, error) {
	switch {
	case len(words) == 1 && words[0] == "pause":
		return request{do: control.VMM.Pause, pauses: true}, nil
	case len(words) == 1 && words[0] == "resume":
		return request{do: control.VMM.Resume, resumes: true}, nil
	case len(words) == 2 && words[0] == "balloon":
		size, err := bytes(words[1])
		return request{do: func(v control.VMM) error { return v.Balloon(size) }}, err
	case len(words) == 3 && words[0] == "resize":
		size, err := bytes(words[2])
		if disk := words[1]; disk == "root" || disk == "overlay" {
			return request{}, fmt.Errorf("%q is not one of the disks that a VM is given", disk)
		}
		return request{do: func(v control.VMM) error { return v.Grow(words[1], size) }}, err
	}
	return request{}, fmt.Errorf("want pause, resume, balloon BYTES or resize DISK BYTES, got %q", words)
}

// bytes reads a number of bytes.
func bytes(text string) (int64, error) {
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("want a number of bytes, got %q", text)
	}
	return size, nil
}
