/** Messages and files to peers, and what came from them (cli §6, §9). */
import { Effect, FileSystem, Path } from "effect"
import * as Mailbox from "../../actors/services/Mailbox.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Flag, type Output, output } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as ProgressBar from "../ProgressBar.ts"
import * as Values from "../Values.ts"
import * as ExchangeDial from "./ExchangeDial.ts"
import * as MailboxText from "./MailboxText.ts"

const TIMEOUT: Flag = {
  name: "timeout",
  value: "duration",
  summary: "how long to wait for the peer's trust (default 30s)"
}

const sendMessage: Command = {
  name: "send-message",
  usage: "<address|hostname>",
  summary: "Puts a message into a peer's inbox; acknowledged means that it is on the peer's disk",
  returns: "target, type, bytes, ack",
  flags: [
    { name: "data", value: "text", isRequired: true, summary: "the message" },
    { name: "type", value: "text", placeholder: "text|json|binary", summary: "what it is (default text)" },
    TIMEOUT
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(sendMessage, input, 0))
    const data = Values.text(input, "data")
    if (data === undefined) return yield* CliError.invalidArgument("--data is required")
    const type = Values.text(input, "type") ?? "text"
    const { KINDS, send } = yield* Effect.promise(() => import("../../actors/services/client/SendMessage.ts"))
    if (!Object.hasOwn(KINDS, type))
      return yield* CliError.invalidArgument(`unknown type ${JSON.stringify(type)} (use text, json, or binary)`)
    const payload = Bytes.fromUtf8(data)
    const { address, dial } = yield* ExchangeDial.target(input, text)
    const sent = Effect.flatMap(dial, (duplex) => send(duplex, KINDS[type as keyof typeof KINDS], payload))
    const ack = yield* ExchangeDial.told(Effect.scoped(sent))
    return output({
      ...(ack === undefined ? {} : { ack }),
      bytes: payload.length,
      target: Address.format(address),
      type
    })
  })
}

const sendFile: Command = {
  name: "send-file",
  usage: "<address|hostname> <filepath>",
  summary: "Sends a file or a directory to a peer, going on after breaks and restarts",
  returns: "destination, filename, bytes, ack; of a directory files, stored_as, skipped",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(sendFile, input, 0))
    const path = yield* Effect.fromResult(Values.positional(sendFile, input, 1))
    const info = yield* Effect.mapError(
      Effect.flatMap(FileSystem.FileSystem, (files) => files.stat(path)),
      ({ reason }) =>
        reason._tag === "PermissionDenied"
          ? CliError.make("internal", `permission denied: ${path}`)
          : CliError.make("not_found", `file not found: ${path}`)
    )
    const { address, dial } = yield* Effect.mapError(ExchangeDial.target(input, text), wrongPeer)
    const paths = yield* Path.Path
    const name = paths.basename(paths.resolve(path))
    const bar = yield* ProgressBar.make(input)
    const options = { path, name, progress: bar.show }
    const destination = Address.format(address)
    const { layer } = yield* Effect.promise(() => import("../../core/crypto/NativeCrypto.ts"))
    if (info.type === "Directory") {
      const { send } = yield* Effect.promise(() => import("../../actors/services/client/SendTree.ts"))
      const sent = yield* ExchangeDial.told(send(dial, options)).pipe(Effect.ensuring(bar.clear), Effect.provide(layer))
      const { files, sizeBytes, skipped, storedAs } = sent
      const extra = {
        ...(storedAs === undefined ? {} : { stored_as: storedAs }),
        ...(skipped === 0 ? {} : { skipped })
      }
      return output({ bytes: sizeBytes, destination, filename: name, files, ...extra })
    }
    const { send } = yield* Effect.promise(() => import("../../actors/services/client/SendFile.ts"))
    const sent = yield* ExchangeDial.told(send(dial, options)).pipe(Effect.ensuring(bar.clear), Effect.provide(layer))
    return output({
      ...(sent.ack === undefined ? {} : { ack: sent.ack }),
      bytes: sent.sizeBytes,
      destination,
      filename: name
    })
  })
}

const inbox: Command = {
  name: "inbox",
  usage: "",
  summary: "The messages that peers have sent to this node",
  returns: "dir, messages [from, type, data, bytes, received_at], total",
  flags: [{ name: "clear", value: "boolean", summary: "take them away" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { home } = yield* ConfigFile.directory
    if (Values.boolean(input, "clear") === true) {
      const cleared = yield* Effect.mapError(Mailbox.clearMessages(home), unreadable)
      if (!cleared) return yield* CliError.make("not_found", "inbox is empty")
      return output({ cleared }, `cleared ${cleared} message(s)`)
    }
    const stored = yield* Effect.mapError(Mailbox.messages(home), unreadable)
    const messages = (stored ?? []).flatMap(({ text }): ReadonlyArray<Json.JsonObject> => {
      const message = Json.parseObject(text)
      return message === undefined ? [] : [message]
    })
    return output(
      stored === undefined
        ? { messages: [], total: 0 }
        : { dir: `${home}/inbox`, messages: messages.length === 0 ? null : messages, total: messages.length },
      MailboxText.inbox(messages)
    )
  })
}

const received: Command = {
  name: "received",
  usage: "",
  summary: "The files and directories that peers have sent to this node",
  returns: "dir, files [name, path, bytes, modified], total",
  flags: [{ name: "clear", value: "boolean", summary: "take them away" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { home } = yield* ConfigFile.directory
    const dir = `${home}/received`
    if (Values.boolean(input, "clear") === true) {
      const cleared = yield* Effect.mapError(Mailbox.clearReceived(home), unreadable)
      if (!cleared) return yield* CliError.make("not_found", "no received files")
      return output({ cleared }, `cleared ${cleared} received file(s)`)
    }
    const stored = yield* Effect.mapError(Mailbox.received(home), unreadable)
    const files = (stored ?? []).map(({ isDirectory, modifiedAtMs, name, path, sizeBytes }) => ({
      bytes: sizeBytes,
      modified: MailboxText.timeText(modifiedAtMs),
      name,
      path,
      ...(isDirectory ? { directory: true } : {})
    }))
    return output(
      stored === undefined
        ? { files: [], total: 0 }
        : { dir, files: files.length === 0 ? null : files, total: files.length },
      MailboxText.received(dir, stored ?? [])
    )
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [sendMessage, sendFile, inbox, received]

/** The reference calls an unknown peer of this command a wrong argument (cli §1.2). */
const wrongPeer = (error: CliError.CliError): CliError.CliError =>
  error.code === "not_found" ? CliError.invalidArgument(error.message) : error

const unreadable = ({ message }: Mailbox.MailboxError): CliError.CliError => CliError.make("internal", message)
