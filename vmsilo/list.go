package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"vmsilo/generator/machine"
	"vmsilo/vmsilo/terminal"
	"vmsilo/vmsilo/units"
)

// listed is a VM in the list; its JSON is documented in vmsilo-list(1). What is not known is null.
type listed struct {
	Name      string     `json:"name"`
	Color     *string    `json:"color"`
	State     string     `json:"state"`
	Since     *time.Time `json:"since"`
	Memory    *uint64    `json:"memory"`
	Addresses []string   `json:"addresses"`
}

// list shows the VMs that are configured, and those that run without that.
func list(stdout, _ io.Writer, args []string) error {
	flags := flag.NewFlagSet("list", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	if _, err := parse(flags, args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxQuestion)
	defer cancel()
	m, err := units.Connect(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	states, err := m.States(ctx)
	if err != nil {
		return fmt.Errorf("asking systemd about the VMs: %w", err)
	}
	vms := allListed(readConfig(), states)
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(vms)
	}
	file, isFile := stdout.(*os.File)
	return printTable(stdout, vms, isFile && terminal.Is(file) && os.Getenv("NO_COLOR") == "")
}

// allListed returns the VMs in the order of their names.
func allListed(c configured, states map[string]units.State) []listed {
	all := []listed{}
	for name, vm := range c.vms() {
		l := listed{Name: name}
		if vm.Color != "" {
			l.Color = &vm.Color
		}
		if m := c.sound[name]; m != nil {
			l.Addresses = addresses(m)
		}
		l.fill(states[name])
		if _, broken := c.Broken[name]; broken && (l.State == "stopped" || l.State == "failed") {
			l.State, l.Since = "misconfigured", nil
		}
		all = append(all, l)
	}
	for name, state := range states {
		if !c.has(name) && (state.Word == "running" || state.Word == "starting" || state.Word == "stopping") {
			l := listed{Name: name}
			l.fill(state)
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b listed) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// fill notes how a VM is; nothing of it is loaded when s is zero.
func (l *listed) fill(s units.State) {
	l.State = cmp.Or(s.Word, "stopped")
	if s.Paused {
		l.State = "paused"
	}
	if !s.Since.IsZero() {
		since := s.Since.Truncate(time.Second)
		l.Since = &since
	}
	if s.Memory != 0 {
		l.Memory = &s.Memory
	}
}

// addresses returns what the guest's interfaces have as far as it is configured, and else the host's sides of them.
func addresses(m *machine.Machine) []string {
	all := []string{}
	for _, i := range m.Interfaces {
		of := i.Addresses
		for _, text := range of {
			all = append(all, netip.MustParsePrefix(text).Addr().String())
		}
		if len(of) == 0 {
			for _, host := range i.HostAddresses {
				all = append(all, host.Addr().String())
			}
		}
	}
	return all
}

// printTable writes a line for each VM, with a mark of its colour where one can be seen.
func printTable(w io.Writer, vms []listed, colored bool) error {
	rows := [][]string{{"NAME", "COLOR", "STATE", "SINCE", "MEMORY", "ADDRESSES"}}
	for _, l := range vms {
		row := []string{l.Name, "-", l.State, "-", "-", cmp.Or(strings.Join(l.Addresses, " "), "-")}
		if l.Color != nil {
			row[1] = *l.Color
		}
		if l.Since != nil {
			row[3] = l.Since.Format("2006-01-02 15:04")
		}
		if l.Memory != nil {
			row[4] = fmt.Sprintf("%d MiB", *l.Memory>>20)
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var out strings.Builder
	for n, row := range rows {
		if colored {
			out.WriteString(mark(n, vms))
		}
		for i, cell := range row[:len(row)-1] {
			fmt.Fprintf(&out, "%-*s  ", widths[i], cell)
		}
		fmt.Fprintln(&out, row[len(row)-1])
	}
	_, err := io.WriteString(w, out.String())
	return err
}
