# In bash an equals sign ends a word, so candidates omit the text before it
_zoo() {
    local line="${COMP_LINE:0:COMP_POINT}" current prefix
    current="${line##* }"
    prefix="${current%"${COMP_WORDS[COMP_CWORD]}"}"
    [[ "${COMP_WORDS[COMP_CWORD]}" == "=" ]] && prefix="$current"
    local IFS=$'\n'
    COMPREPLY=($(zoo completion --line "$line" 2>/dev/null))
    [[ "$prefix" == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *[=.] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _zoo zoo
