/** Files that peers may pull from here, and that this node pulls from them. */
import { Clock, Effect, FileSystem, Path } from "effect"
import type * as FileShares from "../../actors/services/FileShares.ts"
import * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Input, type Output, output } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as ProgressBar from "../ProgressBar.ts"
import * as Render from "../Render.ts"
import * as Values from "../Values.ts"
import * as ExchangeDial from "./ExchangeDial.ts"
import * as MailboxText from "./MailboxText.ts"

const share: Command = {
  name: "files share",
  usage: "<path>",
  summary: "Lets the peers named, and nobody else, pull a file or a directory from this node",
  returns: "name, path, allowed [node_id, name], allow_trusted",
  flags: [
    { name: "allow", value: "text", placeholder: "peer", repeats: true, summary: "a peer that may pull it" },
    { name: "allow-trusted", value: "boolean", summary: "every trusted peer may" },
    { name: "name", value: "text", summary: "what peers call it (default: its own name)" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const path = yield* Effect.fromResult(Values.positional(share, input, 0))
    const allowTrusted = Values.boolean(input, "allow-trusted") === true
    const named = Values.texts(input, "allow")
    if (named.length === 0 && !allowTrusted)
      return yield* CliError.invalidArgument(
        "nobody is named who may pull it",
        `pilotctl files share ${path} --allow PEER, or --allow-trusted`
      )
    const allowed = yield* Effect.forEach(named, allow)
    const { home } = yield* ConfigFile.directory
    const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const made = yield* shares((module) =>
      module.add(home, { path, name: Values.text(input, "name"), allowed, allowTrusted, nowSeconds })
    )
    const whom = allowTrusted ? "every trusted peer" : allowed.map(({ name }) => name).join(", ")
    return output(
      row(made),
      `${made.path} is shared as ${made.name} with ${whom}\n  there: pilotctl files list <this-node>`
    )
  })
}

const unshare: Command = {
  name: "files unshare",
  usage: "<name|path>",
  summary: "Shares a file or a directory no more",
  returns: "name, path",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(unshare, input, 0))
    const { home } = yield* ConfigFile.directory
    const { name, path } = yield* shares((module) => module.remove(home, text))
    return output({ name, path }, `${name} is not shared any more`)
  })
}

const listShares: Command = {
  name: "files shares",
  usage: "",
  summary: "What this node shares, and with whom",
  returns: "shares [name, path, allowed, allow_trusted], total",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { home } = yield* ConfigFile.directory
    const all = yield* shares((module) => module.load(home))
    const table = Render.table(
      [
        ["NAME", 24],
        ["SHARED WITH", 32],
        ["PATH", 0]
      ],
      all.map(({ allowTrusted, allowed, name, path }) => [
        name,
        allowTrusted ? "every trusted peer" : allowed.map((peer) => peer.name).join(", "),
        path
      ])
    )
    const none = "nothing is shared\n  share with: pilotctl files share <path> --allow <peer>"
    return output({ shares: all.map(row), total: all.length }, all.length === 0 ? none : table)
  })
}

const list: Command = {
  name: "files list",
  usage: "<peer>[/<name>]",
  summary: "What a peer shares with this node, or what is in a shared directory",
  returns: "peer, path, entries [name, kind, bytes], total",
  flags: [{ name: "timeout", value: "duration", summary: "how long to wait for the peer's trust (default 30s)" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(list, input, 0))
    const [peer, path] = split(text)
    const { dial } = yield* ExchangeDial.target(input, peer)
    const module = yield* Effect.promise(() => import("../../actors/services/client/PullFile.ts"))
    const entries = yield* ExchangeDial.told(module.list(dial, path))
    return output(
      { peer, path, entries: entries.map(({ bytes, kind, name }) => ({ name, kind, bytes })), total: entries.length },
      MailboxText.entries(entries)
    )
  })
}

const get: Command = {
  name: "files get",
  usage: "<peer>/<name>[/<path>]",
  summary: "Pulls a file or a directory that a peer shares; the same command goes on after a break",
  returns: "peer, name, path, files, bytes",
  flags: [
    { name: "output", value: "path", summary: "where to put it (default: here, under its own name)" },
    { name: "force", value: "boolean", summary: "replace a file of another content" },
    { name: "timeout", value: "duration", summary: "how long to wait for the peer's trust (default 30s)" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(get, input, 0))
    const [peer, remote] = split(text)
    if (remote === "") return yield* Effect.fail(Values.missing(get))
    const destination = yield* destinationOf(input, remote)
    const { dial } = yield* ExchangeDial.target(input, peer)
    const bar = yield* ProgressBar.make(input)
    const { pull } = yield* Effect.promise(() => import("../../actors/services/client/PullFile.ts"))
    const { layer } = yield* Effect.promise(() => import("../../core/crypto/NativeCrypto.ts"))
    const force = Values.boolean(input, "force") === true
    const pulled = yield* ExchangeDial.told(pull(dial, { remote, destination, force, progress: bar.show })).pipe(
      Effect.ensuring(bar.clear),
      Effect.provide(layer)
    )
    const { files, path, sizeBytes } = pulled
    const what = files === 1 ? Render.size(sizeBytes) : `${files} files, ${Render.size(sizeBytes)}`
    return output({ peer, name: remote, path, files, bytes: sizeBytes }, `${path}  ${what}`)
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [share, unshare, listShares, list, get].map(
  (row): Command => ({ ...row, isStrict: true })
)

/** `PEER/NAME/path`: no name and no address of a peer holds a slash. */
const split = (text: string): readonly [peer: string, path: string] => {
  const slash = text.indexOf("/")
  return slash < 0 ? [text, ""] : [text.slice(0, slash), text.slice(slash + 1).replace(/\/+$/, "")]
}

/** `--output` names the place, or a directory to put it in. */
const destinationOf = Effect.fnUntraced(function* (input: Input, remote: string) {
  const files = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const { element } = yield* Effect.promise(() => import("../../protocol/exchange/StoredName.ts"))
  const own = element(remote.slice(remote.lastIndexOf("/") + 1))
  if (own._tag === "Failure") return yield* CliError.invalidArgument(`not a name: ${own.failure.detail}`)
  const wanted = Values.text(input, "output")
  if (wanted === undefined) return paths.resolve(own.success)
  const info = yield* Effect.option(files.stat(wanted))
  const isDirectory = info._tag === "Some" && info.value.type === "Directory"
  return paths.resolve(isDirectory || wanted.endsWith("/") ? paths.join(wanted, own.success) : wanted)
})

/** The key that stands behind the name or address now is the one allowed, whatever the name leads to later. */
const allow = Effect.fnUntraced(function* (text: string) {
  const found = yield* Effect.scoped(
    Effect.flatMap(DaemonClient.connect, (client) =>
      Effect.mapError(client.extension("peer", { target: text }), (error) => DaemonClient.unresolved(text, error))
    )
  )
  const publicKey = Json.string(found, "public_key")
  if (publicKey === "") return yield* CliError.make("not_found", `the key of ${JSON.stringify(text)} is not known`)
  const name = Json.string(found, "hostname") || Json.string(found, "address")
  const peer: FileShares.SharePeer = { node: Json.unsigned(found, "node_id", 32), publicKey, name }
  return peer
})

const row = ({ allowTrusted, allowed, name, path }: FileShares.Share): Json.JsonObject => ({
  name,
  path,
  allowed: allowed.map((peer) => ({ node_id: peer.node, name: peer.name })),
  allow_trusted: allowTrusted
})

type Module = typeof FileShares

/** Loads what locks and writes the list, and says what went wrong. */
const shares = <A, R>(
  use: (module: Module) => Effect.Effect<A, FileShares.ShareError, R>
): Effect.Effect<A, CliError.CliError, Exclude<R, import("../../core/storage/DirectoryLock.ts").DirectoryLock>> =>
  Effect.gen(function* () {
    const module = yield* Effect.promise(() => import("../../actors/services/FileShares.ts"))
    const { layer } = yield* Effect.promise(() => import("../../core/storage/FileLock.ts"))
    return yield* Effect.mapError(Effect.provide(use(module), layer), ({ detail, reason }) =>
      CliError.make(CODES[reason], detail)
    )
  })

const CODES = {
  NotFound: "not_found",
  Taken: "already_exists",
  Invalid: "invalid_argument",
  TooMany: "invalid_state",
  Unusable: "internal"
} as const
