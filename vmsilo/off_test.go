package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// What [defaults] asks for and a VM's hypervisor cannot honour is off, and told at its place; what the VM's own file says is another
// matter, as is what nobody has asked for.
func TestOff(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"vmsilo.toml": "[defaults]\nsound = { playback = true }\ngpu = false\n",
		"a.toml":      "id = 3\nhypervisor = \"qemu\"\n",
		"b.toml":      "id = 4\n",
		"c.toml":      "id = 5\nhypervisor = \"qemu\"\nsound = { playback = false }\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("VMSILO_CONFIG_PATH", folder)
	want := folder + `/vmsilo.toml:2:1: warning: "sound" is off for VM "a", whose hypervisor "qemu" cannot honour it` + `
    sound = { playback = true }
    ^~~~~
    hint: these can: crosvm, cloud-hypervisor`
	got := off(readConfig())
	if len(got) != 1 || fmt.Sprint(got[0]) != want {
		t.Errorf("%v\nwant\n%s", got, want)
	}
}
