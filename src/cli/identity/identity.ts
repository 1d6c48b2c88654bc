/** Commands about this node's key: keeping it safe, and putting it back (docs/identity.md). */
import { Effect } from "effect"
import type * as NodeConfig from "../../actors/layers/NodeConfig.ts"
import type * as CliError from "../CliError.ts"
import { type Command, type Environment, type Input, type Output, output } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as Values from "../Values.ts"
import * as PassphraseInput from "./PassphraseInput.ts"

const IDENTITY_FLAG = {
  name: "identity",
  value: "path",
  summary: "key file (default identity.key in the state directory)"
} as const

const backup: Command = {
  name: "identity backup",
  usage: "<file>",
  summary: "Writes key, chain, trust and pins into one file, encrypted with a passphrase",
  returns: "file, fingerprint, public_key, files, encrypted_at_rest",
  isStrict: true,
  flags: [PassphraseInput.FLAG, IDENTITY_FLAG],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const path = yield* Effect.fromResult(Values.positional(backup, input, 0))
    const passphrase = yield* PassphraseInput.choose(input, "Passphrase of the backup: ")
    const { data } = yield* withIdentity(input, (tools, places) => tools.backup(places, path, passphrase))
    return output(
      { file: path, ...data },
      `backup of ${data.fingerprint} in ${path}: ${data.files.join(", ")}\nwithout its passphrase it is of no use to anybody, you included`
    )
  })
}

const restore: Command = {
  name: "identity restore",
  usage: "<file>",
  summary: "Puts back what identity backup has saved; --force replaces the identity that is there",
  returns: "file, fingerprint, public_key, files, encrypted_at_rest, created_at",
  isStrict: true,
  flags: [
    PassphraseInput.FLAG,
    IDENTITY_FLAG,
    { name: "force", value: "boolean", summary: "replace an identity, trust and pins that are there" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const path = yield* Effect.fromResult(Values.positional(restore, input, 0))
    const passphrase = yield* PassphraseInput.ask(input, "Passphrase of the backup: ")
    const force = Values.boolean(input, "force") === true
    const { data } = yield* withIdentity(input, (tools, places) => tools.restore(places, path, passphrase, force))
    return output({ file: path, ...data }, `restored ${data.fingerprint}: ${data.files.join(", ")}\n${OLD_MACHINE}`)
  })
}

const sealAs = (name: string, isSealed: boolean, summary: string): Command => ({
  name: `identity ${name}`,
  usage: "",
  summary,
  returns: "path, encrypted, changed",
  isStrict: true,
  flags: [PassphraseInput.FLAG, IDENTITY_FLAG],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const passphrase = isSealed
      ? yield* PassphraseInput.choose(input, "New passphrase of the identity: ")
      : yield* PassphraseInput.ask(input, "Passphrase of the identity: ")
    const { changed, path } = yield* withIdentity(input, (tools, places) =>
      tools.setSealed(places.identity, passphrase, isSealed)
    )
    const state = isSealed ? "encrypted" : "not encrypted"
    return output(
      { path, encrypted: isSealed, changed },
      changed ? `${path} is ${state} from now on` : `${path} was ${state} already`
    )
  })
})

const status: Command = {
  name: "identity status",
  usage: "",
  summary: "Whether the key file is encrypted",
  returns: "path, exists, encrypted",
  isStrict: true,
  flags: [IDENTITY_FLAG],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { identity } = yield* configOf(input)
    const { isSealed } = yield* Effect.promise(() => import("./identityRun.ts"))
    const sealed = yield* isSealed(identity)
    const text = sealed === undefined ? "no identity yet" : sealed ? "encrypted" : "not encrypted"
    return output({ path: identity, exists: sealed !== undefined, encrypted: sealed === true }, `${identity}: ${text}`)
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [
  status,
  backup,
  restore,
  sealAs("encrypt", true, "Encrypts the key file with a passphrase, which the daemon then needs at its start"),
  sealAs("decrypt", false, "Writes the key file in the clear again")
]

/** Commands that change files do so while no node uses them. */
const withIdentity = Effect.fnUntraced(function* <A>(
  input: Input,
  use: (
    tools: typeof import("./identityRun.ts"),
    places: Pick<NodeConfig.NodeConfig, "home" | "identity">
  ) => Effect.Effect<A, CliError.CliError, Environment>
): Effect.fn.Return<A, CliError.CliError, Environment> {
  const tools = yield* Effect.promise(() => import("./identityRun.ts"))
  const places = yield* configOf(input)
  yield* ConfigFile.makeHome(places.home)
  return yield* use(tools, places)
})

const configOf = (input: Input) =>
  Effect.flatMap(
    Effect.promise(() => import("../daemon/daemonConfig.ts")),
    ({ load }) => load(input)
  )

const OLD_MACHINE = [
  "Two nodes with one identity take each other's address: the registry follows whichever registered last.",
  "If the old machine may still run, stop its node before this one starts; if it was stolen, start this one and then:",
  "  pilotctl rotate-key --recovery-file FILE"
].join("\n")
