package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"vmsilo/internal/runvmm"
)

// listen reads events until cloud-hypervisor closes them. It calls booted, which goes on beside, the first time that it hears
// of a guest that has been started, and kills the VMM with the first event that ends the guest. An event is a JSON object,
// and two are apart by an empty line: event_monitor/src/lib.rs of cloud-hypervisor.
//
// Of a reboot it says so before it tears the VM down. Killed then, it has not begun to make another, whose guest would
// write to the same disks; what the guest has flushed is in their files.
func listen(events io.Reader, booted, kill func()) runvmm.End {
	each := bufio.NewScanner(events)
	each.Split(paragraphs)
	begun := false
	for each.Scan() {
		var e struct{ Source, Event string }
		if json.Unmarshal(each.Bytes(), &e) != nil {
			continue
		}
		switch e.Source + " " + e.Event {
		case "vm booted":
			if !begun {
				begun = true
				go booted()
			}
		case "vm rebooting":
			kill()
			return runvmm.Reset
		case "guest panic":
			kill()
			return runvmm.Panic
		}
	}
	return runvmm.Unsaid
}

// paragraphs is a bufio.SplitFunc for what ends with an empty line.
func paragraphs(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if end := bytes.Index(data, []byte("\n\n")); end >= 0 {
		return end + 2, data[:end], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
