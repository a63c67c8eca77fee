package main

import (
	"os"
	"os/signal"
	"slices"
)

// heeded returns those of signals that are not ignored: what is ignored stays so, as nohup(1) wants it.
func heeded(signals ...os.Signal) []os.Signal {
	return slices.DeleteFunc(signals, signal.Ignored)
}
