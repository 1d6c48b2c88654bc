/** What the registry is told about the own node: tags, tasks, registration (cli §4, §5). */
import { Effect } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Values from "../Values.ts"

const register: Command = {
  name: "register",
  usage: "[listen]",
  summary: "Registers this node again now, with its name and visibility; a daemon does it by itself",
  returns: "node_id, address, type",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const client = yield* DaemonClient.connect
    const asked = client.extension("register", { listen: input.positionals[0] ?? "" })
    return output(yield* Effect.mapError(asked, DaemonClient.registryFailure))
  })
}

const deregister: Command = {
  name: "deregister",
  usage: "",
  summary:
    "Takes this node out of the registry; its daemon registers again when it is started, or by itself after a while",
  returns: "type",
  flags: [],
  run: () =>
    Effect.map(
      DaemonClient.once("deregister", (client) => client.deregister),
      (data) => output(data)
    )
}

const setTags: Command = {
  name: "set-tags",
  usage: "<tag> [tag] [tag]",
  summary: "Gives this node up to three tags",
  returns: "node_id, tags",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const tags = input.positionals
    if (tags.length === 0) return yield* Values.missing(setTags)
    if (tags.length > TAGS_MAX)
      return yield* CliError.invalidArgument(`set-tags: maximum ${TAGS_MAX} tags allowed, got ${tags.length}`)
    const reply = yield* DaemonClient.once("set-tags", (client) => client.setTags(tags))
    const given = Json.strings(reply, "tags")
    const human = given.length === 0 ? "none" : given.map((tag) => `#${tag}`).join(" ")
    return output({ node_id: Json.integer(reply, "node_id"), tags: given }, `tags set: ${human}`)
  })
}

const clearTags: Command = {
  name: "clear-tags",
  usage: "",
  summary: "Takes this node's tags away",
  returns: "tags",
  flags: [],
  run: () =>
    Effect.as(
      DaemonClient.once("clear-tags", (client) => client.setTags([])),
      output({ tags: [] }, "tags cleared")
    )
}

const tasks = (name: string, isOn: boolean, summary: string): Command => ({
  name,
  usage: "",
  summary,
  returns: "node_id, task_exec, type",
  flags: [],
  run: () =>
    Effect.map(
      DaemonClient.once(name, (client) => client.setTaskExec(isOn)),
      (data) => output(data)
    )
})

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [
  register,
  deregister,
  setTags,
  clearTags,
  tasks("enable-tasks", true, "Tells the registry that this node takes tasks"),
  tasks("disable-tasks", false, "Tells the registry that this node takes no tasks")
]

/** node §1.5. */
const TAGS_MAX = 3
