package config

// HugePage is the size in bytes of the pages that huge_pages asks for.
const HugePage = 2 << 20

// checkHugePages wants a guest's memory to be whole huge pages.
func (d *decoder) checkHugePages(vm *VM, tree *Node) {
	if n := tree.table["memory"]; n != nil && vm.HugePages && vm.Memory%HugePage != 0 {
		d.errorf(n.value, "", `%q is not a whole number of the pages of %dM that "huge_pages" takes`, n.text, HugePage>>20)
	}
}
