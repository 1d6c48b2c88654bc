/** Commands about changing keys: this node's, by its recovery key or by waiting, and those of peers (docs/identity.md). */
import { Effect } from "effect"
import * as Json from "../../core/data/Json.ts"
import type * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Command, type Environment, type Flag, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Values from "../Values.ts"
import * as KeysText from "./KeysText.ts"
import * as PassphraseInput from "./PassphraseInput.ts"

const STATUS =
  "public_key, fingerprint, key_generation, recovery_fingerprint, pending_fingerprint, pending_from, published"

const rotate: Command = {
  name: "rotate-key",
  usage: "",
  summary: "Gives this node a new key: at once with its recovery key, else in seven days; address and trust stay",
  returns: STATUS,
  isStrict: true,
  flags: [
    { name: "recovery-file", value: "path", summary: "file with the recovery key: what is done counts at once" },
    { name: "cancel", value: "boolean", summary: "take an announced key back (identity cancel-rotation)" },
    { name: "status", value: "boolean", summary: "change nothing" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { localOffsetMinutes } = yield* CliHost
    const client = yield* DaemonClient.connect
    const ask = (op: string, value: Json.JsonObject = {}) => told(client.extension(op, value))
    const path = Values.text(input, "recovery-file")
    const reply = yield* Effect.gen(function* () {
      if (Values.boolean(input, "status") === true) return yield* ask("key.status")
      if (Values.boolean(input, "cancel") === true) return yield* cancelled(client, path)
      if (path === undefined) return yield* ask("key.rotate")
      const { RecoveryFile, sign } = yield* keyTools
      const key = yield* RecoveryFile.read(path)
      const { draft } = yield* ask("key.prepare")
      return yield* ask("key.commit", { signature: sign(key, draft) })
    })
    return output(reply, KeysText.status(reply, localOffsetMinutes))
  })
}

const cancelRotation: Command = {
  name: "identity cancel-rotation",
  usage: "",
  summary: "Takes back the new key announced for this node; with the recovery key, also one that a thief has announced",
  returns: STATUS,
  isStrict: true,
  flags: [
    {
      name: "recovery-file",
      value: "path",
      summary: "file with the recovery key: every announced key, and nobody who has only the node's key undoes it"
    }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { localOffsetMinutes } = yield* CliHost
    const client = yield* DaemonClient.connect
    const reply = yield* cancelled(client, Values.text(input, "recovery-file"))
    return output(reply, KeysText.status(reply, localOffsetMinutes))
  })
}

const RECOVERY_FLAGS: ReadonlyArray<Flag> = [
  { name: "replaces", value: "path", summary: "file with the recovery key that is enrolled until now" },
  PassphraseInput.FLAG
]

const init: Command = {
  name: "recovery init",
  usage: "<file>",
  summary: "Makes a recovery key, writes it to a file once, and enrols it for this node",
  returns: `file, recovery_fingerprint, ${STATUS}`,
  isStrict: true,
  flags: RECOVERY_FLAGS,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const path = yield* Effect.fromResult(Values.positional(init, input, 0))
    const { RecoveryFile, enrol } = yield* keyTools
    // Asked first: a key that cannot be enrolled need not be made.
    const enrolling = yield* enrol(input)
    const key = yield* RecoveryFile.create(path)
    const reply = yield* enrolling(key)
    return output({ file: path, ...reply }, KeysText.enrolled(path, reply))
  })
}

const enrolFile: Command = {
  name: "recovery enroll",
  usage: "<file>",
  summary: "Enrols a recovery key that exists, for example of another node of yours",
  returns: STATUS,
  isStrict: true,
  flags: RECOVERY_FLAGS,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const path = yield* Effect.fromResult(Values.positional(enrolFile, input, 0))
    const { RecoveryFile, enrol } = yield* keyTools
    const key = yield* RecoveryFile.read(path)
    const reply = yield* Effect.flatMap(enrol(input), (enrolling) => enrolling(key))
    return output(reply, KeysText.enrolled(path, reply))
  })
}

const show: Command = {
  name: "recovery show",
  usage: "",
  summary: "Which recovery key is enrolled for this node",
  returns: STATUS,
  isStrict: true,
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const client = yield* DaemonClient.connect
    const reply = yield* told(client.extension("key.status", {}))
    const fingerprint = Json.string(reply, "recovery_fingerprint")
    return output(reply, fingerprint === "" ? KeysText.NO_RECOVERY : `recovery key: ${fingerprint}`)
  })
}

const rotations: Command = {
  name: "trust pending-rotations",
  usage: "",
  summary: "Peers whose key is about to change, has changed, or has forked",
  returns: "rotations [node_id, state, fingerprint, next_fingerprint, next_from, former_fingerprints, rivals]",
  isStrict: true,
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { localOffsetMinutes } = yield* CliHost
    const client = yield* DaemonClient.connect
    const reply = yield* told(client.extension("trust.rotations", {}))
    return output(reply, KeysText.rotations(Json.objects(reply, "rotations"), localOffsetMinutes))
  })
}

const refuse: Command = {
  name: "trust refuse-rotation",
  usage: "<node_id|hostname>",
  summary: "Your decision against the new key that a peer has announced: it never counts here",
  returns: "node_id, fingerprint",
  isStrict: true,
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(refuse, input, 0))
    const client = yield* DaemonClient.connect
    const { node } = yield* DaemonClient.target(client, input, text)
    const reply = yield* told(client.extension("trust.rotation.refuse", { node }))
    return output(reply, `the new key ${Json.string(reply, "fingerprint")} of node ${node} never counts here`)
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [rotate, cancelRotation, init, enrolFile, show, rotations, refuse]

/** By the node's own key, which the daemon has, or by the recovery key, which it never sees. */
const cancelled = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  path: string | undefined
): Effect.fn.Return<Json.JsonObject, CliError.CliError, Environment> {
  if (path === undefined) return yield* told(client.extension("key.cancel", {}))
  const { RecoveryFile, sign } = yield* keyTools
  const key = yield* RecoveryFile.read(path)
  const prepared = yield* told(client.extension("key.cancel.prepare", {}))
  const signatures = Json.strings(prepared, "drafts").map((draft) => sign(key, draft))
  return yield* told(client.extension("key.cancel.commit", { signatures }))
})

const keyTools = Effect.promise(() => import("./keysRun.ts"))

const told = KeysText.told
