#compdef zoo
_zoo() {
    local -a candidates
    candidates=("${(@f)$(zoo completion --line "${LBUFFER}" 2>/dev/null)}")
    if [[ -n "${candidates[1]}" ]]; then compadd -Q -S '' -- "${candidates[@]}"; else _files; fi
}
compdef _zoo zoo
