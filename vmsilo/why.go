package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"vmsilo/generator/graph"
	"vmsilo/internal/command"
	"vmsilo/internal/started"
	"vmsilo/internal/vmunit"
	"vmsilo/vmsilo/units"
)

const (
	// logLines is how many lines of its log a failed unit is shown with, and briefLines how many beside another error.
	logLines, briefLines = 10, 3
	// maxQuestion is how long systemd may take to answer.
	maxQuestion = 10 * time.Second
)

// errNotUp is the end of why for a VM that does not run, which it has said by then.
var errNotUp = &command.Status{Code: 1}

// why says what keeps a VM from running.
func why(stdout, _ io.Writer, args []string) error {
	operands, err := parse(flag.NewFlagSet("why", flag.ContinueOnError), args, "NAME")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxQuestion)
	defer cancel()
	m, err := units.Connect(ctx)
	if err == nil {
		defer m.Close()
	}
	d := doctor{ctx: ctx, m: m, c: readConfig(), out: stdout}
	return d.examine(operands[0], err)
}

// doctor finds out why a VM does not run.
type doctor struct {
	ctx context.Context
	m   *units.Manager
	c   configured
	out io.Writer
}

// examine says how the VM is. unreachable is why systemd cannot be asked, or nil: errors of the configuration are found
// without it.
func (d *doctor) examine(name string, unreachable error) error {
	state, running := units.State{}, false
	if unreachable == nil && !strings.ContainsRune(name, '/') {
		var err error
		if state, err = d.m.State(d.ctx, name); err != nil {
			return fmt.Errorf("asking systemd about VM %q: %w", name, err)
		}
		running = state.Word == "running"
	}
	switch {
	case !d.c.has(name) && !running:
		return d.c.unknown(name)
	case d.c.errorsOf(name) != "" && !running:
		fmt.Fprintf(d.out, "the configuration of %s has errors:\n%s\n", name, d.c.errorsOf(name))
		return errNotUp
	case unreachable != nil:
		return unreachable
	}
	return d.tell(name, state)
}

// tell says how a VM is that is configured, or runs.
func (d *doctor) tell(name string, state units.State) error {
	switch state.Word {
	case "running":
		fmt.Fprintf(d.out, "%s is running%s\n", name, since(state.Since))
		if state.Paused {
			fmt.Fprintf(d.out, "it is paused\nhint: vmsilo resume %s\n", name)
		}
		d.tellNetwork(name)
		d.tellWindows(name)
		d.tellChange(name)
		return nil
	case "starting":
		waits := "its parts"
		if words := d.m.Waits(d.ctx, name); len(words) > 0 {
			waits = strings.Join(words, ", ")
		}
		fmt.Fprintf(d.out, "%s is starting%s: %s\n", name, since(state.Since), waits)
	case "stopping":
		fmt.Fprintf(d.out, "%s is stopping%s\n", name, since(state.Since))
	case "masked":
		fmt.Fprintf(d.out, "%s is masked: nothing can start it\nhint: systemctl unmask %s\n", name, vmunit.Of(name))
	default:
		return d.tellDown(name, state)
	}
	return errNotUp
}

// tellNetwork says what stands in the way of a VM that runs: its interfaces have looked for that, and its netvms may be down.
func (d *doctor) tellNetwork(name string) {
	m := d.c.sound[name]
	if m == nil {
		return
	}
	// Another file may have given its TAPs other names.
	with, err := started.Read(started.Path(name))
	asStarted := err == nil && with.Config == graph.Fingerprint(m)
	for _, i := range m.Interfaces {
		if _, err := os.Lstat("/sys/class/net/" + i.TAP); asStarted && errors.Is(err, os.ErrNotExist) {
			fmt.Fprintf(d.out, "somebody has removed %s, the TAP of its interface %s, which reaches nothing\nhint: systemctl restart %s\n", i.TAP, i.Name, vmunit.Of(name))
			continue
		}
		// The latter has looked for all VMs, and names those that it speaks of. Who looks again says the same again.
		said := map[string]bool{}
		for _, line := range d.m.Warnings(d.ctx, "vmsilo-netdev@"+name+":"+i.Name+".service", "vmsilo-resolver.service") {
			if (speaksOf(line, i.TAP) || speaksOf(line, i.Bridge)) && !said[line] {
				said[line] = true
				fmt.Fprintln(d.out, strings.TrimPrefix(line, "vmsilo-netdev: "))
			}
		}
	}
	for _, netvm := range m.NetVMs() {
		if state, err := d.m.State(d.ctx, netvm); err == nil && state.Word != "running" {
			fmt.Fprintf(d.out, "its netvm %s does not run, but is %s: nothing is reached by it\nhint: systemctl start %s\n", netvm, state.Word, vmunit.Of(netvm))
		}
	}
}

// speaksOf tells whether a line names an interface, be it as an option's value.
func speaksOf(line, name string) bool {
	return name != "" && slices.Contains(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '=' }), name)
}

// tellWindows says what keeps a VM that runs from showing windows, as its proxy says it.
func (d *doctor) tellWindows(name string) {
	proxy := "vmsilo-proxy@" + name + ".service"
	if text, failed := strings.CutPrefix(d.m.Says(d.ctx, proxy), "error: "); failed {
		fmt.Fprintf(d.out, "it shows no windows: %s\nhint: journalctl --unit=%s\n", text, proxy)
	}
}

// tellDown says why a VM is not running that is not starting either.
func (d *doctor) tellDown(name string, state units.State) error {
	cause, err := d.cause(name, map[string]bool{})
	switch {
	case err != nil:
		return fmt.Errorf("asking systemd about VM %q: %w", name, err)
	case cause.vm != "":
		if cause.vm != name {
			fmt.Fprintf(d.out, "%s needs %s\n", name, cause.vm)
		}
		fmt.Fprint(d.out, d.describe(cause, logLines))
	case state.Since.IsZero():
		// systemd soon forgets a unit that has ended well.
		fmt.Fprintf(d.out, "%s is stopped: nobody has started it, or it ended without a failure\nhint: systemctl start %s\n", name, vmunit.Of(name))
	default:
		fmt.Fprintf(d.out, "%s is stopped%s, and did not fail\nhint: systemctl start %s\n", name, since(state.Since), vmunit.Of(name))
	}
	d.tellChange(name)
	return errNotUp
}

// tellChange says when systemd does not know the VM's file as it is.
func (d *doctor) tellChange(name string) {
	switch {
	case !d.c.has(name):
		fmt.Fprintf(d.out, "its file is gone: it cannot be started again\n")
	case d.c.errorsOf(name) != "":
		fmt.Fprintf(d.out, "it cannot be started again as its configuration is now:\n%s\n", d.c.errorsOf(name))
	case !d.m.Fresh(d.ctx, name):
		fmt.Fprintf(d.out, "systemd has not read its file as it is now\nhint: systemctl daemon-reload\n")
	}
}

// cause is what keeps a VM from running: the VM itself, or one that it depends on, has a unit that failed, or, without
// one, errors in its configuration. Where nothing does, vm is "".
type cause struct {
	vm      string
	failure *units.Failure
}

func (d *doctor) cause(name string, seen map[string]bool) (cause, error) {
	seen[name] = true
	if d.c.errorsOf(name) != "" {
		return cause{vm: name}, nil
	}
	failure, err := d.m.Failure(d.ctx, name)
	if failure != nil || err != nil {
		return cause{name, failure}, err
	}
	if d.c.sound[name] == nil {
		return cause{}, nil
	}
	for _, other := range append(d.c.sound[name].NetVMs(), d.c.sound[name].DependsOn...) {
		state, err := d.m.State(d.ctx, other)
		if err != nil || seen[other] || state.Word == "running" {
			continue
		}
		if found, err := d.cause(other, seen); found.vm != "" || err != nil {
			return found, err
		}
	}
	return cause{}, nil
}

// describe tells a cause, with the last lines of the log of a unit that failed.
func (d *doctor) describe(c cause, lines int) string {
	f := c.failure
	if f == nil {
		return fmt.Sprintf("the configuration of %s has errors:\n%s\n", c.vm, d.c.errorsOf(c.vm))
	}
	text := fmt.Sprintf("%s failed at %s: %s\n", f.Unit, when(f.Ended), f.Result)
	for _, line := range units.Log(f, lines) {
		text += "    " + line + "\n"
	}
	return text + aboutJournal()
}

// aboutJournal returns a hint for who may not read the journal.
func aboutJournal() string {
	folders := []string{"/var/log/journal", "/run/log/journal"}
	for _, folder := range folders {
		id, err := os.ReadFile("/etc/machine-id")
		if err != nil {
			continue
		}
		file, err := os.Open(folder + "/" + strings.TrimSpace(string(id)) + "/system.journal")
		if err == nil {
			file.Close()
			return ""
		} else if errors.Is(err, os.ErrPermission) {
			return "hint: its log is for root and members of the group systemd-journal: sudo vmsilo why\n"
		}
	}
	return ""
}

// briefly returns what keeps a VM from running, or "" where it runs, or nothing is found.
func briefly(name string) string {
	ctx, cancel := context.WithTimeout(context.Background(), maxQuestion)
	defer cancel()
	m, err := units.Connect(ctx)
	if err != nil {
		return ""
	}
	defer m.Close()
	if state, err := m.State(ctx, name); err != nil || state.Word == "running" {
		return ""
	}
	d := doctor{ctx: ctx, m: m, c: readConfig()}
	if found, err := d.cause(name, map[string]bool{}); err == nil && found.vm != "" {
		return strings.TrimSpace(d.describe(found, briefLines))
	}
	return ""
}

// since tells from when on something is so, and nothing of the zero time.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + when(t)
}

// when tells a time, and how long ago that is.
func when(t time.Time) string {
	return fmt.Sprintf("%s (%s ago)", t.Format("2006-01-02 15:04:05"), duration(time.Since(t)))
}

// duration returns a length of time in its two largest units.
func duration(d time.Duration) string {
	s := int(d.Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 60*60:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 24*60*60:
		return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%d days %d h", s/86400, s/3600%24)
	}
}
