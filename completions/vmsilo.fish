# What fish completes of vmsilo(1). It starts no program: names are those of files and folders.

function __vmsilo_vms
    set -l folders /etc/vmsilo /usr/lib/vmsilo
    set -q VMSILO_CONFIG_PATH; and set folders (string split : -- $VMSILO_CONFIG_PATH)
    for file in $folders/*.toml
        set -l name (string replace -r '.*/(.*)\.toml$' '$1' -- $file)
        test $name = vmsilo; or echo $name
    end
end

# __vmsilo_at COUNT WORD… tells whether the words before the one that is typed, without options, are COUNT and begin with
# one of WORD.
function __vmsilo_at -a count
    set -l words (string match -v -- '-*' (commandline -opc)[2..])
    test (count $words) -eq $count; and contains -- "$words[1]" $argv[2..]
end

function __vmsilo_image -a count
    set -l words (string match -v -- '-*' (commandline -opc)[2..])
    test (count $words) -eq $count -a "$words[1]" = image; and contains -- "$words[2]" $argv[2..]
end

function __vmsilo_images
    for folder in /var/lib/vmsilo/images/*/
        string replace -r '.*/(.*)/$' '$1' -- $folder
    end
end

function __vmsilo_versions
    set -l words (string match -v -- '-*' (commandline -opc)[2..])
    for folder in /var/lib/vmsilo/images/.$words[3]/*/
        string replace -r '.*/(.*)/$' '$1' -- $folder
    end
end

function __vmsilo_recipes
    for file in /usr/share/vmsilo/recipes/*.toml
        string replace -r '.*/(.*)\.toml$' '$1' -- $file
    end
end

complete -c vmsilo -f
set -l commands -c vmsilo -n 'test (count (commandline -opc)) -eq 1'
complete $commands -a run -d 'run a program in a VM'
complete $commands -a shell -d 'run a login shell in a VM'
complete $commands -a console -d 'attach to the console of a VM that runs'
complete $commands -a pause -d 'have the guest of a VM stand still'
complete $commands -a resume -d 'have it go on'
complete $commands -a balloon -d 'take so much memory from a guest, or 0'
complete $commands -a resize -d 'make a disk of a VM that runs larger'
complete $commands -a list -d 'show the VMs and how they are'
complete $commands -a why -d 'say what keeps a VM from running'
complete $commands -a check -d 'print every error of the configuration'
complete $commands -a image -d 'look after the images of VMs'
complete $commands -l help -d 'show the usage'
complete -c vmsilo -n '__vmsilo_at 1 run shell console pause resume balloon resize why' -a '(__vmsilo_vms)' -d VM
complete -c vmsilo -n '__vmsilo_at 1 run' -s t -l terminal -d 'give the program a terminal'
complete -c vmsilo -n '__vmsilo_at 1 run' -l env -r -d 'set a variable'
complete -c vmsilo -n '__vmsilo_at 1 run' -l directory -r -d 'where the program starts'
complete -c vmsilo -n '__vmsilo_at 1 list' -l json -d 'for programs'
complete -c vmsilo -n '__vmsilo_at 1 image' -a build -d 'make a new version of an image'
complete -c vmsilo -n '__vmsilo_at 1 image' -a list -d 'show the images and their versions'
complete -c vmsilo -n '__vmsilo_at 1 image' -a use -d 'make a version the one that VMs start with'
complete -c vmsilo -n '__vmsilo_at 1 image' -a remove -d 'delete a version'
complete -c vmsilo -n '__vmsilo_image 2 build use remove' -a '(__vmsilo_images)' -d image
complete -c vmsilo -n '__vmsilo_image 3 use remove' -a '(__vmsilo_versions)' -d version
complete -c vmsilo -n '__vmsilo_image 2 build; or __vmsilo_image 3 build' -l recipe -x -a '(__vmsilo_recipes)' -d recipe
