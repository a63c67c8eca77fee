package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func frames(t *testing.T, r *Reader) (types []Type, payloads []string, err error) {
	t.Helper()
	for {
		kind, payload, err := r.Next()
		if err != nil {
			return types, payloads, err
		}
		types, payloads = append(types, kind), append(payloads, string(payload))
	}
}

func TestFrames(t *testing.T) {
	var wire bytes.Buffer
	w, err := NewWriter(&wire)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", MaxInput+1)
	if err := errors.Join(w.Write(Resize, Size{24, 80}.Marshal()), w.Copy(Stdin, strings.NewReader(long), NewCredit())); err != nil {
		t.Fatal(err)
	}
	// Byte by byte, so that the layout of docs/protocol.md is held to.
	if want := "vmsilo1\n\x03\x00\x00\x04\x00\x18\x00\x50\x02\x08\x00\x00x"; !strings.HasPrefix(wire.String(), want) {
		t.Errorf("%q", wire.String()[:40])
	}
	types, payloads, err := frames(t, NewHostReader(iotest.HalfReader(&wire)))
	if !errors.Is(err, io.EOF) || !reflect.DeepEqual(types, []Type{Resize, Stdin, Stdin}) || payloads[1]+payloads[2] != long {
		t.Errorf("%v, %v", types, err)
	}
}

// The greeting and the first frame are one write, so that they are one packet.
func TestBegin(t *testing.T) {
	var writes []string
	w, err := Begin(writerFunc(func(p []byte) (int, error) {
		writes = append(writes, string(p))
		return len(p), nil
	}), Resize, Size{24, 80}.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(Signal, []byte{9}); err != nil {
		t.Fatal(err)
	}
	want := []string{"vmsilo1\n\x03\x00\x00\x04\x00\x18\x00\x50", "\x04\x00\x00\x01\x09"}
	if !reflect.DeepEqual(writes, want) {
		t.Errorf("%q, want %q", writes, want)
	}
	if _, err := Begin(io.Discard, Run, make([]byte, 1<<24)); err == nil {
		t.Error("a frame of 16 MiB is sent")
	}
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

func TestMalformed(t *testing.T) {
	for wire, want := range map[string]error{
		"":                                      io.EOF,
		"vms":                                   io.ErrUnexpectedEOF,
		"vmsilo2\n\x02\x00\x00\x00":             ErrMalformed,
		"SSH-2.0-OpenSSH\r\n":                   ErrMalformed,
		"vmsilo1\n":                             io.EOF,
		"vmsilo1\n\x02\x00":                     io.ErrUnexpectedEOF,
		"vmsilo1\n\x02\x00\x00\x01":             io.ErrUnexpectedEOF,
		"vmsilo1\n\x02\x08\x00\x01" + "x":       ErrMalformed,
		"vmsilo1\n\x01\xff\xff\xff" + "x":       ErrMalformed,
		"vmsilo1\n\x00\x00\x00\x00":             ErrMalformed,
		"vmsilo1\n\x81\x00\x00\x00":             ErrMalformed,
		"vmsilo1\n\x04\x00\x00\x02\x00\x00":     ErrMalformed,
		"vmsilo1\n\x05\x00\x00\x01\x00":         ErrMalformed,
		"vmsilo1\n\x03\x00\x00\x03\x00\x00\x00": ErrMalformed,
	} {
		if _, _, err := frames(t, NewHostReader(strings.NewReader(wire))); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", wire, err, want)
		}
	}
}

func TestProgram(t *testing.T) {
	for _, p := range []Program{
		{Args: []string{}, Env: []string{}},
		{Args: []string{"ls", "", "-l\n"}, Env: []string{"A=", "B=c=d"}, Directory: "/tmp"},
		{Args: []string{}, Env: []string{}, Terminal: &Size{1, 65535}},
	} {
		payload, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseProgram(payload)
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("got %+v, %v, want %+v", got, err, p)
		}
	}
	for _, p := range []Program{
		{Args: []string{"a\x00b"}},
		{Args: []string{""}},
		{Env: []string{"A"}},
		{Env: []string{"=A"}},
		{Args: []string{"a", strings.Repeat("x", MaxProgram)}},
		{Args: make([]string, 1<<16)},
	} {
		if _, err := p.Marshal(); err == nil {
			t.Errorf("%.50s passes", fmt.Sprint(p))
		}
	}
	for _, payload := range []string{
		"",
		"\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00",
		"\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00a",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00a",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00a\x00",
	} {
		if _, err := ParseProgram([]byte(payload)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", payload, err)
		}
	}
}

func TestFailure(t *testing.T) {
	f := &Failure{NotFound, "no \x1b[2Jprogram\n" + strings.Repeat("x", MaxFailure)}
	payload := f.Marshal()
	if len(payload) != MaxFailure {
		t.Errorf("%d bytes", len(payload))
	}
	if got := ParseFailure(payload); got.Code != NotFound || !strings.HasPrefix(got.Text, "no \ufffd[2Jprogram\nx") {
		t.Errorf("%d %.40q", got.Code, got.Text)
	}
}

// Without credit nothing is read, and a guest cannot give more than there was.
func TestCredit(t *testing.T) {
	c := NewCredit()
	if err := c.Add(WindowPayload(1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("one more: %v", err)
	}
	c.use(InitialWindow)
	done := make(chan int)
	go func() { done <- c.await(MaxInput) }()
	if err := c.Add(WindowPayload(3)); err != nil {
		t.Fatal(err)
	}
	if n := <-done; n != 3 {
		t.Errorf("%d bytes may be sent", n)
	}
	if err := c.Add(WindowPayload(1<<32 - 1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("4 GiB: %v", err)
	}
}

func FuzzHostReader(f *testing.F) {
	f.Add([]byte("vmsilo1\n\x01\x00\x00\x0c\x01\x00\x18\x00\x50\x00\x01\x00\x00\x00a\x00\x02\x00\x00\x01x\x02\x00\x00\x00\x04\x00\x00\x01\x09"))
	f.Add([]byte("vmsilo1\n\x05\x00\x00\x00\x06\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := NewHostReader(bytes.NewReader(wire))
		for {
			kind, payload, err := r.Next()
			if err != nil {
				return
			}
			if kind != Run {
				continue
			}
			if p, err := ParseProgram(payload); err == nil {
				again, err := p.Marshal()
				// The size is not used without a terminal.
				if err != nil || !bytes.Equal(again[5:], payload[5:]) {
					t.Fatalf("%q becomes %q, %v", payload, again, err)
				}
			}
		}
	})
}

func FuzzGuestReader(f *testing.F) {
	f.Add([]byte("vmsilo1\n\x81\x00\x00\x01x\x82\x00\x00\x00\x83\x00\x00\x04\x00\x00\x00\x00\x84\x00\x00\x02\x00\x09"))
	f.Add([]byte("vmsilo1\n\x85\x00\x00\x03\x7fno\x86\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r, credit := NewGuestReader(bytes.NewReader(wire)), NewCredit()
		for {
			kind, payload, err := r.Next()
			if err != nil {
				return
			}
			switch kind {
			case Window:
				_ = credit.Add(payload)
				if credit.left > InitialWindow {
					t.Fatalf("credit of %d", credit.left)
				}
			case Ended:
				if s, err := ParseStatus(payload); err == nil && s.Shell() > 255 {
					t.Fatalf("status %d", s.Shell())
				}
			case Failed:
				if strings.ContainsAny(ParseFailure(payload).Text, "\x1b\r\x00\u009b") {
					t.Fatalf("%q", payload)
				}
			}
		}
	})
}
