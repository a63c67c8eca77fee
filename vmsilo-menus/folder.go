package main

import (
	"fmt"

	"vmsilo/generator/config"
)

// The menu of a user: https://specifications.freedesktop.org/menu-spec/latest/. A VM's name has nothing that XML would act on.
const (
	menuBegin = `<!DOCTYPE Menu PUBLIC "-//freedesktop//DTD Menu 1.0//EN" "http://www.freedesktop.org/standards/menu-spec/1.0/menu.dtd">
<Menu>
  <Name>Applications</Name>
`
	menuVM = `  <Menu>
    <Name>vmsilo-%[1]s</Name>
    <Directory>vmsilo-%[1]s.directory</Directory>
    <Include><Category>%[2]s</Category></Include>
  </Menu>
`
	menuEnd = "</Menu>\n"
)

// category is what the programs of a VM have in common.
func category(vm string) string { return "X-vmsilo-" + vm }

// folderIcon returns the icon of a VM: a folder in its colour. It is vmsilo's own, so that it may be an SVG.
func folderIcon(color string) []byte {
	rgb, _ := config.RGB(color) // the configuration has no colour that is none
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 64 64">
  <path d="M6 16a4 4 0 0 1 4-4h15l6 7h23a4 4 0 0 1 4 4v27a4 4 0 0 1-4 4H10a4 4 0 0 1-4-4z"
    fill="#%x" stroke="#808080" stroke-width="2"/>
</svg>
`, rgb)
}
