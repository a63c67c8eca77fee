package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Every change that makes another configuration or another image is seen, and no other is looked at.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	etc, vm := filepath.Join(dir, "etc"), filepath.Join(dir, "etc", "a.toml")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(path, text string) {
		t.Helper()
		must(os.WriteFile(path, []byte(text), 0o644))
	}
	must(os.Mkdir(filepath.Join(dir, "one"), 0o755))
	must(os.Mkdir(filepath.Join(dir, "two"), 0o755))
	for _, file := range []string{"one/vmlinuz", "one/initrd", "one/root.erofs", "two/vmlinuz"} {
		write(filepath.Join(dir, file), "x")
	}
	image := filepath.Join(dir, "image")
	must(os.Symlink("one", image))
	configurations, err := follow([]string{etc})
	must(err)
	// The folder is not there yet; what comes is read until nothing comes any more.
	latest := func() (c *configuration) {
		for {
			select {
			case c = <-configurations:
			case <-time.After(300 * time.Millisecond):
				return c
			}
		}
	}
	if c := latest(); c == nil || len(c.vms) != 0 {
		t.Fatalf("at first: %v", c)
	}
	for _, step := range []struct {
		what string
		do   func()
		// is tells whether the configuration is right; nil is one that is not read.
		is func(c *configuration) bool
	}{
		{"a folder with a file", func() {
			must(os.Mkdir(etc, 0o755))
			write(vm, "id = 3\nhypervisor = \"qemu\"\nimage = \""+image+"\"\n")
		}, func(c *configuration) bool { return c.vms["a"].problem == "" && c.images[image+"/root.erofs"] != "" }},
		{"another value", func() { write(vm, "id = 4\nhypervisor = \"qemu\"\nimage = \""+image+"\"\n") }, func(c *configuration) bool { return c.vms["a"].ID == 4 }},
		{"a file that is no configuration", func() { write(filepath.Join(etc, "a.toml~"), "x") }, nil},
		{"one that is being written", func() {
			file, err := os.Create(filepath.Join(etc, "b.toml"))
			must(err)
			t.Cleanup(func() { file.Close() })
		}, nil},
		{"one under another name", func() { must(os.Rename(vm, filepath.Join(etc, "c.toml"))) }, func(c *configuration) bool { return c.vms["a"] == nil && c.vms["c"].ID == 4 }},
		{"a link that leads elsewhere", func() {
			must(os.Symlink("two", image+"2"))
			must(os.Rename(image+"2", image))
		}, func(c *configuration) bool {
			return c.images[image+"/vmlinuz"] != "" && c.images[image+"/root.erofs"] == ""
		}},
		{"a file in that folder", func() { write(filepath.Join(dir, "two", "root.erofs"), "y") }, func(c *configuration) bool { return c.images[image+"/root.erofs"] != "" }},
		{"a file that is none of its image", func() { write(filepath.Join(dir, "two", "notes"), "y") }, nil},
		{"the folder before", func() { write(filepath.Join(dir, "one", "root.erofs"), "z") }, nil},
		{"a link in the configuration", func() {
			write(filepath.Join(dir, "d"), "id = 5\n")
			must(os.Symlink("../d", filepath.Join(etc, "d.toml")))
		}, func(c *configuration) bool { return c.vms["d"].ID == 5 }},
		{"what it leads to", func() { write(filepath.Join(dir, "d"), "id = 6\n") }, func(c *configuration) bool { return c.vms["d"].ID == 6 }},
		{"no folder any more", func() { must(os.RemoveAll(etc)) }, func(c *configuration) bool { return len(c.vms) == 0 }},
	} {
		step.do()
		switch c := latest(); {
		case step.is == nil && c != nil:
			t.Errorf("%s: the configuration is read again", step.what)
		case step.is != nil && (c == nil || !step.is(c)):
			t.Errorf("%s: %+v", step.what, c)
		}
	}
}
