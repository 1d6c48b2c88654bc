import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { Port } from "../../../src/protocol/wire/Address.ts"
import { FRAME_BYTES_MAX, makeSplitter, Opcode } from "../../../src/protocol/wire/IpcOpcode.ts"
import * as IpcReply from "../../../src/protocol/wire/IpcReply.ts"
import * as IpcRequest from "../../../src/protocol/wire/IpcRequest.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, hex, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/node.json" with { type: "json" }

interface Frame {
  readonly dir: string
  readonly hex: string
}

const bodyOf = (frame: Uint8Array): Uint8Array => frame.subarray(4)

/** The error text of the vector's only reply, if that is an error. */
const errorText = (replies: ReadonlyArray<Frame>): string | undefined => {
  const reply = replies.length === 1 ? success(IpcReply.decode(bodyOf(hex(replies[0]!.hex)))) : undefined
  return reply?._tag === "Error" ? reply.message : undefined
}

const reencodes = (frame: Frame): void => {
  const bytes = hex(frame.hex)
  const encoded =
    frame.dir === "client->daemon"
      ? IpcRequest.encode(success(IpcRequest.decode(bodyOf(bytes))))
      : IpcReply.encode(success(IpcReply.decode(bodyOf(bytes))))
  assert.strictEqual(Bytes.toHex(encoded), frame.hex)
}

describe("IPC vectors", () => {
  for (const { name, request, replies } of vectors.ipc.exchanges) {
    if (request === undefined || replies === undefined) continue

    for (const reply of replies) it(`reply to ${name}`, () => reencodes(reply))

    it(`request ${name}`, () => {
      const decoded = IpcRequest.decode(bodyOf(hex(request.hex)))

      if (name in DIFFERENT) assert.deepStrictEqual(Result.merge(decoded), DIFFERENT[name])
      else if (Result.isFailure(decoded))
        assert.isTrue(sameRefusal(decoded.failure.message, errorText(replies)), decoded.failure.message)
      else reencodes(request)
    })
  }

  for (const { name, frames } of vectors.ipc.sessions) it(`session: ${name}`, () => frames.forEach(reencodes))

  for (const { args, frames } of vectors.cli.ipc_traces.map(({ command, frames }) => ({
    args: command.join(" "),
    frames
  })))
    it(`frames of pilotctl ${args}`, () => {
      for (const frame of frames) if (spoken(frame)) reencodes(frame)
    })

  for (const { name, hex: text } of vectors.ipc.newer_requests)
    it(`newer request ${name} is spoken or refused as unknown (node §1.4)`, () => {
      const decoded = IpcRequest.decode(bodyOf(hex(text)))

      if (Result.isSuccess(decoded)) assert.strictEqual(Bytes.toHex(IpcRequest.encode(decoded.success)), text)
      else assert.match(decoded.failure.message, /^unknown command: 0x[0-9A-F]{2}$/)
    })

  it("opcodes are those of the vectors, a reply one above its request", () => {
    const codes = new Map<string, number>(
      vectors.ipc.commands.map(({ code, name }) => [name.toLowerCase(), Number(code)])
    )
    for (const [name, code] of Object.entries(Opcode))
      if (name !== "Extension") assert.strictEqual(codes.get(name.toLowerCase()), code, name)
    assert.strictEqual(codes.get("healthok"), Opcode.Health + 1)
  })
})

/** Requests of the vectors with several spellings, or that newer daemons know; and what we read. */
const DIFFERENT: Readonly<Record<string, IpcRequest.IpcRequest | IpcRequest.IpcRefusal>> = {
  set_tags_null: { _tag: "SetTags", tags: [] },
  set_visibility_2: { _tag: "SetVisibility", isPublic: false },
  handshake_unknown_sub: { opcode: Opcode.Handshake, message: "handshake wait: missing node_id" },
  unknown_newer_health: { _tag: "Health" }
}

/** A refusal keeps the reference's words; after a second colon the words are our own. */
const sameRefusal = (ours: string, reference: string | undefined): boolean =>
  reference !== undefined &&
  (ours === reference || (ours.includes("invalid JSON") && reference.includes("invalid JSON")))

/** Frames of placeholders and of commands that are not in the table are left out. */
const spoken = (frame: Frame): boolean => /^([0-9a-f]{2})+$/.test(frame.hex)

describe("IpcRequest", () => {
  it.prop("decodes what it encodes (node §1.5, §1.8)", { request: Arb.ipcRequest }, ({ request }) => {
    const { frames } = makeSplitter().push(IpcRequest.encode(request))

    assert.strictEqual(frames.length, 1)
    assert.deepStrictEqual(success(IpcRequest.decode(frames[0]!)), request)
  })

  it("newer commands that the reference's tables lack are refused in its words (node §1.8)", () => {
    const refusals = ["0f07", "0f0700000001", "0f08", "71", "717b7d", "7b", "02", "31"].map((text) =>
      failure(IpcRequest.decode(hex(text)))
    )
    assert.deepStrictEqual(
      refusals.map(({ message }) => message),
      [
        "handshake wait: missing node_id",
        "handshake wait: missing timeout",
        "handshake: unknown sub-command 0x08",
        "extension: invalid JSON: not an object",
        "extension: missing op",
        "unknown command: 0x7B",
        "unknown command: 0x02",
        "enroll_recovery: invalid JSON: not an object"
      ]
    )
    assert.deepStrictEqual(
      refusals.map((refusal): number => refusal.opcode),
      [0x0f, 0x0f, 0x0f, 0x71, 0x71, 0x7b, 0x02, 0x31]
    )
  })

  it("a wait is cut to its limit (node §1.8)", () => {
    const waiting = success(IpcRequest.decode(hex("0f0700000007ffffffff")))
    assert.deepInclude(waiting, { _tag: "HandshakeWait", timeoutMs: IpcRequest.WAIT_MS_MAX })
  })

  it("ignores what follows a fixed payload (node §1.2)", () => {
    assert.deepStrictEqual(success(IpcRequest.decode(hex("0dffff"))), { _tag: "Info" })
    assert.deepStrictEqual(success(IpcRequest.decode(hex("01138899"))), { _tag: "Bind", port: Port(5000) })
  })

  it("a frame above 1 MiB ends the connection before its body (node §1.2)", () => {
    const vector = vectors.ipc.exchanges.find(({ name }) => name === "oversize_length_prefix")!
    const { exceeded } = makeSplitter().push(hex(vector.request_raw_hex!))
    assert.deepStrictEqual(exceeded, { _tag: "LimitExceeded", limit: FRAME_BYTES_MAX, actual: FRAME_BYTES_MAX + 1 })
  })
})

describe("IpcReply", () => {
  it.prop("decodes what it encodes (node §1.5)", { reply: Arb.ipcReply }, ({ reply }) => {
    const { frames } = makeSplitter().push(IpcReply.encode(reply))

    assert.strictEqual(frames.length, 1)
    assert.deepStrictEqual(success(IpcReply.decode(frames[0]!)), reply)
  })

  it("refuses requests, unknown opcodes, short payloads and bad JSON", () => {
    const tags = ["", "0d", "ee", "0400", "0e5b5d", "0e7b"].map((text) => failure(IpcReply.decode(hex(text)))._tag)
    assert.deepStrictEqual(tags, ["Truncated", "UnknownType", "UnknownType", "Truncated", "Malformed", "Malformed"])
  })
})
