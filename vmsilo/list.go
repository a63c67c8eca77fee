package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"vmsilo/vmsilo/terminal"
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
	vms, err := askStatus(ctx)
	if err != nil {
		return fmt.Errorf("asking org.vmsilo1 about the VMs: %w", err)
	}
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(vms)
	}
	file, isFile := stdout.(*os.File)
	return printTable(stdout, vms, isFile && terminal.Is(file) && os.Getenv("NO_COLOR") == "")
}

// askStatus returns the VMs that org.vmsilo1(7) knows, in the order of their names.
func askStatus(ctx context.Context) ([]listed, error) {
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var objects map[dbus.ObjectPath]map[string]map[string]dbus.Variant
	err = conn.Object("org.vmsilo1", "/org/vmsilo1").
		CallWithContext(ctx, "org.freedesktop.DBus.ObjectManager.GetManagedObjects", 0).Store(&objects)
	if err != nil {
		return nil, err
	}
	vms := []listed{}
	for _, interfaces := range objects {
		l, err := newListed(interfaces["org.vmsilo1.VM"])
		if err != nil {
			return nil, err
		}
		vms = append(vms, l)
	}
	slices.SortFunc(vms, func(a, b listed) int { return strings.Compare(a.Name, b.Name) })
	return vms, nil
}

// newListed returns a VM by its properties.
func newListed(properties map[string]dbus.Variant) (l listed, err error) {
	var color, path, problem string
	var since, memory uint64
	for name, to := range map[string]any{
		"Name": &l.Name, "Color": &color, "State": &l.State, "StateTimestamp": &since, "MemoryCurrent": &memory,
		"Addresses": &l.Addresses, "ConfigPath": &path, "ConfigError": &problem,
	} {
		if err := properties[name].Store(to); err != nil {
			return l, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	if color != "" {
		l.Color = &color
	}
	up := l.State == "running" || l.State == "paused" || l.State == "starting" || l.State == "stopping"
	if up && memory != math.MaxUint64 {
		l.Memory = &memory
	}
	if problem != "" && (l.State == "stopped" || l.State == "failed") {
		l.State, since = "misconfigured", 0
	}
	if since != 0 {
		at := time.UnixMicro(int64(since)).Truncate(time.Second)
		l.Since = &at
	}
	if path == "" || problem != "" {
		l.Addresses = nil
	}
	return l, nil
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
