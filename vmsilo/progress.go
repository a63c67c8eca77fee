package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// progress tells a person how far something is: on a terminal in one line that counts the seconds, and else in a line
// for each stage.
type progress struct {
	out      io.Writer
	terminal bool
	begin    time.Time
	mu       sync.Mutex
	stage    string
	stop     chan struct{}
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, begin: time.Now(), stop: make(chan struct{})}
	if file, ok := out.(*os.File); ok {
		_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
		p.terminal = err == nil
	}
	if p.terminal {
		go p.tick()
	}
	return p
}

// say begins a stage.
func (p *progress) say(stage string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage = stage
	p.show()
}

// end removes the line of a terminal.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.stop)
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func (p *progress) show() {
	line := fmt.Sprintf("[%3d s] %.70s", p.seconds(), p.stage)
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K"+line)
	} else {
		fmt.Fprintln(p.out, line)
	}
}

func (p *progress) seconds() int { return int(time.Since(p.begin).Seconds()) }

func (p *progress) tick() {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-second.C:
			p.mu.Lock()
			select {
			case <-p.stop:
			default:
				p.show()
			}
			p.mu.Unlock()
		}
	}
}
