/**
 * Completion for shells. Each shell asks the program itself which words may follow, so that what it offers is what there is:
 *
 *     Tab ─► function of the shell ─► fairlead __complete -- bgp pe ─► "peers⇥sessions with …", a line each
 *
 * commander has nothing of the kind; its command tree has everything that is needed.
 */
import { Command, type Option } from "commander";
import { CommandFailure, EXIT, type World } from "./world.ts";

/** What shells call; in no help. */
export const COMPLETE = "__complete";

export interface Candidate {
  readonly word: string;
  /** What it does, in a line. */
  readonly description: string;
}

/** What may stand in the place of the last word, after the others. `program` has the commands that these words need. */
export function candidatesFor(program: Command, words: readonly string[]): readonly Candidate[] {
  const begun = words.at(-1) ?? "";
  let command = program;
  let value: Option | undefined;
  let isFree = false;
  for (const word of words.slice(0, -1)) {
    if (value !== undefined) value = undefined;
    else if (word === "--") isFree = true;
    else if (word.startsWith("-")) value = isFree ? undefined : valueWanted(command, word);
    else command = subcommand(command, word) ?? command;
  }
  if (isFree) return [];
  const all = value === undefined ? following(command, begun) : (value.argChoices ?? []).map((word) => plain(word));
  return all.filter(({ word }) => word.startsWith(begun));
}

/** The option whose value comes next. */
function valueWanted(command: Command, word: string): Option | undefined {
  if (word.includes("=")) return undefined;
  const found = command.options.find(({ long, short }) => long === word || short === word);
  return found !== undefined && (found.required || found.optional) ? found : undefined;
}

function subcommand(command: Command, word: string): Command | undefined {
  return command.commands.find((each) => each.name() === word || each.aliases().includes(word));
}

function following(command: Command, begun: string): readonly Candidate[] {
  const help = command.createHelp();
  if (begun.startsWith("-"))
    return help
      .visibleOptions(command)
      .flatMap(({ long, description }) => (long === undefined ? [] : [{ word: long, description }]));
  const commands = help
    .visibleCommands(command)
    .map((each) => ({ word: each.name(), description: each.summary() || each.description() }));
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices.map((word) => plain(word)));
  return [...commands, ...choices];
}

function plain(word: string): Candidate {
  return { word, description: "" };
}

/** A line each; the description behind a tab, as zsh, fish and kubectl want it. */
export function drawCandidates(candidates: readonly Candidate[]): string {
  return candidates.map(({ word, description }) => `${word}\t${description.replaceAll(/\s+/g, " ")}\n`).join("");
}

export function completionCommand(world: World): Command {
  return new Command("completion")
    .argument("<shell>", Object.keys(SCRIPTS).join(", "))
    .addHelpText("after", HELP)
    .action((shell: string) => {
      const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell as keyof typeof SCRIPTS] : undefined;
      if (script === undefined)
        throw new CommandFailure(
          EXIT.usage,
          `No completion for ${JSON.stringify(shell)}: there is one for ${Object.keys(SCRIPTS).join(", ")}`,
        );
      world.stdout.write(script);
    });
}

const HELP = `
Example:
  fairlead completion bash > /etc/bash_completion.d/fairlead
  fairlead completion zsh > "\${fpath[1]}/_fairlead"
  fairlead completion fish > ~/.config/fish/completions/fairlead.fish`;

const SCRIPTS = {
  bash: `# bash completion of fairlead: source it, or put it into /etc/bash_completion.d
_fairlead() {
  local IFS=$'\\n'
  COMPREPLY=($(fairlead ${COMPLETE} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
}
complete -o bashdefault -o default -F _fairlead fairlead
`,
  zsh: `#compdef fairlead
# zsh completion of fairlead: _fairlead in a folder of fpath, or source it after compinit
_fairlead() {
  local line
  local -a found
  while IFS=$'\\t' read -r word line; do
    found+=("\${word//:/\\\\:}:$line")
  done < <(fairlead ${COMPLETE} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#found} )); then _describe fairlead found; else _files; fi
}
if [ "$funcstack[1]" = _fairlead ]; then _fairlead; else compdef _fairlead fairlead; fi
`,
  fish: `# fish completion of fairlead: ~/.config/fish/completions/fairlead.fish
function __fairlead_complete
  set -l found (fairlead ${COMPLETE} -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c fairlead -f -a '(__fairlead_complete)'
`,
} as const;
