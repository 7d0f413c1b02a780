complete -c zoo -a '(zoo completion --line (commandline -cp) 2>/dev/null)'
