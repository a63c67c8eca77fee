package main

import (
	"fmt"

	"vmsilo/generator/config"
)

// mark returns a dot in the colour of the VM that has the given line of the table, and blanks where there is none.
func mark(line int, vms []listed) string {
	if line == 0 || vms[line-1].Color == nil {
		return "  "
	}
	rgb, ok := config.RGB(*vms[line-1].Color)
	if !ok {
		return "  "
	}
	return fmt.Sprintf("\x1b[38;2;%d;%d;%dm●\x1b[0m ", rgb[0], rgb[1], rgb[2])
}
