package main

import (
	"os"
	"os/signal"
	"slices"
)

// heeded returns those of signals that are not ignored: what is ignored stays so, as nohup(1) wants it. That is for
// SIGHUP and SIGINT, of which alone package signal knows that they were when the process began.
func heeded(signals ...os.Signal) []os.Signal {
	return slices.DeleteFunc(signals, signal.Ignored)
}
