package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// hugePages is where the kernel counts the huge pages of 2 MiB that the host has set apart:
// Documentation/ABI/testing/sysfs-kernel-mm-hugepages.
const hugePages = "/sys/kernel/mm/hugepages/hugepages-2048kB"

// lookForHugePages returns what is wrong when so many are wanted, or "".
func lookForHugePages(folder string, wanted int) string {
	if wanted == 0 {
		return ""
	}
	counts := map[string]int{}
	for _, name := range []string{"nr_hugepages", "free_hugepages", "resv_hugepages", "nr_overcommit_hugepages", "surplus_hugepages"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err == nil {
			counts[name], err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if err != nil {
			return fmt.Sprintf("the huge pages that it takes cannot be counted: %v", err)
		}
	}
	// Some are promised to who has not touched them yet, and the kernel may be allowed to find more when they are asked for.
	free := counts["free_hugepages"] - counts["resv_hugepages"] + counts["nr_overcommit_hugepages"] - counts["surplus_hugepages"]
	if free >= wanted {
		return ""
	}
	all := counts["nr_hugepages"]
	return fmt.Sprintf("its memory takes %d huge pages of 2 MiB, and of the host's %d there are %d free: sysctl vm.nr_hugepages=%d makes enough",
		wanted, all, max(free, 0), all+wanted-free)
}
