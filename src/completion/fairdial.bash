# SPDX-License-Identifier: Apache-2.0
# bash completion for fairdial: the tool itself says what may follow (src/cli/complete.c). Needs no bash-completion, and uses it
# for the line of another program, where it is loaded.

# The words up to the cursor, as the program would get them: bash has cut them at ':' and '='. `starts`: where each begins in
# COMP_WORDS.
_fairdial_words() {
	local line=${COMP_LINE:0:COMP_POINT} rest i
	rest=$line
	words=() starts=()
	for ((i = 0; i <= COMP_CWORD; i++)); do
		local word=${COMP_WORDS[i]} blank=${rest%%[![:space:]]*}
		rest=${rest#"$blank"}
		((i < COMP_CWORD)) || word=${rest:0:${#word}}
		rest=${rest#"$word"}
		if ((i > 0)) && [[ -z $blank ]]; then
			words[-1]+=$word
		else
			words+=("$word") starts+=("$i")
		fi
	done
}

# Another program's line, which begins with word $1.
_fairdial_command() {
	local offset=${starts[$1]:-$COMP_CWORD}
	if declare -F _command_offset >/dev/null; then
		_command_offset "$offset"
	elif ((offset == COMP_CWORD)); then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -c -- "$word"; compgen -d -- "$word")
	else
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}

_fairdial() {
	local words starts answers answer word what number
	_fairdial_words
	word=${words[-1]#[\"\']}
	mapfile -t answers < <(command "${words[0]/#\~/$HOME}" __complete "${words[@]:1:${#words[@]}-2}" "$word" 2>/dev/null)
	COMPREPLY=()
	((${#answers[@]})) || return 0
	read -r what number <<<"${answers[-1]}"
	# What readline takes for the word begins behind the last ':' or '='.
	local before=${word%"${word##*[:=]}"}
	case $COMP_WORDBREAKS in *:*) ;; *) before=${before%"${before##*=}"} ;; esac
	for answer in "${answers[@]:0:${#answers[@]}-1}"; do
		answer=${answer%%$'\t'*}
		COMPREPLY+=("${answer#"$before"}")
	done
	case $what in
	:files | :directories)
		compopt -o filenames
		[[ $what = :files ]] && number="-f ${number:-0}" || number="-d ${number:-0}"
		mapfile -t COMPREPLY < <(compgen "${number% *}" -- "${word:${number#* }}")
		;;
	:command) _fairdial_command $((number + 1)) ;;
	esac
}

complete -F _fairdial fairdial
