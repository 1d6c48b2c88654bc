import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as RelativePath from "../../../src/protocol/exchange/RelativePath.ts"
import * as StoredName from "../../../src/protocol/exchange/StoredName.ts"
import * as TreeManifest from "../../../src/protocol/exchange/TreeManifest.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, success } from "../../support/Vectors.ts"
import node from "../../vectors/node.json" with { type: "json" }

/** Names made of what attackers make them of. */
const nasty: Arbitrary.Arbitrary<string> = Arb.oneOf(
  Arb.text,
  Arbitrary.map(
    Arbitrary.array(
      Arb.element(
        "..",
        ".",
        "/",
        "\\",
        "\0",
        "con",
        "NUL",
        ".txt",
        " ",
        "a",
        "A",
        "ä",
        "a\u0308",
        "\u202e",
        ":",
        "|",
        "~",
        "\ud800",
        "𝄞",
        "x".repeat(300)
      ),
      { maxLength: 8 }
    ),
    (parts) => parts.join("")
  )
)

const stampOf = (text: string) => {
  const [, year, month, day, hour, minute, second, millisecond] = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)\.(\d{3})$/
    .exec(text)!
    .map(Number) as [number, number, number, number, number, number, number, number]
  return StoredName.stampOf({ year, month, day, hour, minute, second, millisecond })
}

describe("StoredName", () => {
  for (const { saved_as, sent_name } of node.data_exchange.received_file_examples)
    it(`stores ${sent_name} as ${saved_as} (node §4.2)`, () => {
      const stamp = /\d{8}-\d{6}\.\d{3}/.exec(saved_as)![0]

      assert.strictEqual(stampOf(stamp), stamp)
      assert.strictEqual(StoredName.stored(success(StoredName.reduce(sent_name)), stamp, 0), saved_as)
    })

  it("counts from the second file of one name and millisecond on", () => {
    assert.strictEqual(StoredName.stored({ stem: "a", extension: ".txt" }, "S", 1), "a-S-000001.txt")
  })

  it("refuses what is no name, and control characters", () => {
    for (const name of [
      "",
      ".",
      "..",
      "...",
      " . ",
      "a/",
      "a/..",
      "x\\..",
      "a\0b",
      "a\nb",
      "\u007f",
      "\u0085",
      "a\u2028"
    ])
      assert.isTrue(Result.isFailure(StoredName.reduce(name)), JSON.stringify(name))
  })

  it("defuses device names, special characters and hidden directions", () => {
    const shown = (name: string) => {
      const { extension, stem } = success(StoredName.reduce(name))
      return `${stem}${extension}`
    }
    assert.strictEqual(shown("CON"), "_CON")
    assert.strictEqual(shown("c:\\windows\\nul.txt"), "_nul.txt")
    assert.strictEqual(shown("aux.tar.gz"), "_aux.tar.gz")
    assert.strictEqual(shown('a<b>:"|?*c'), "a_b______c")
    assert.strictEqual(shown("photo\u202egpj.exe"), "photo_gpj.exe")
    assert.strictEqual(shown("end. . "), "end")
    assert.strictEqual(shown("a\u0308"), "ä")
    assert.strictEqual(shown("console"), "console")
  })

  it("cuts 10,000 characters, and keeps the extension", () => {
    const { extension, stem } = success(StoredName.reduce(`${"ä".repeat(10_000)}.jpeg`))

    assert.strictEqual(extension, ".jpeg")
    assert.isAtMost(Bytes.fromUtf8(stem + extension).length, StoredName.NAME_BYTES_MAX)
    assert.isAbove(stem.length, 90)
  })

  it.prop("leaves one plain path element, whatever comes", { name: nasty }, ({ name }) => {
    const reduced = StoredName.reduce(name)
    if (Result.isFailure(reduced)) return
    const stored = StoredName.stored(reduced.success, "20261120-174601.119", 0)

    assert.notMatch(stored, /[/\\\p{Cc}\p{Cf}\p{Cs}<>:"|?*]/u)
    assert.notMatch(stored, /[. ]$/)
    assert.isTrue(stored.isWellFormed())
    assert.isAtMost(Bytes.fromUtf8(stored).length, 255)
    assert.isAbove(stored.length, "-20261120-174601.119".length - 1)
  })

  it.prop("is stable: a safe name is safe as it is", { name: nasty }, ({ name }) => {
    const once = StoredName.element(name)
    if (Result.isSuccess(once)) assert.strictEqual(success(StoredName.element(once.success)), once.success)
  })
})

describe("RelativePath", () => {
  it.prop("leads below its directory or nowhere", { path: nasty }, ({ path }) => {
    const names = RelativePath.parse(path)
    if (names === undefined) return
    assert.isTrue(names.every((name) => name !== "" && name !== "." && name !== ".." && !/[/\\\0]/.test(name)))
    assert.strictEqual(names.join("/"), path)
  })

  it.prop("a stored path is made of safe names", { path: nasty }, ({ path }) => {
    const stored = RelativePath.toStored(path)
    if (Result.isFailure(stored)) return
    for (const name of stored.success.split("/")) assert.strictEqual(success(StoredName.element(name)), name)
  })

  it("refuses absolute paths, parents, depth and length", () => {
    for (const path of [
      "/etc/passwd",
      "a//b",
      "a/../b",
      "../a",
      "a/.",
      "a\\b",
      "a\0",
      "a/".repeat(65),
      "é".repeat(3000)
    ])
      assert.isUndefined(RelativePath.parse(path), path.slice(0, 20))
  })
})

describe("TreeManifest", () => {
  const make = (files: ReadonlyArray<readonly [string, number]>, directories: ReadonlyArray<string> = []) =>
    TreeManifest.make({ files, directories })

  it("knows the directories of its files, and adds up", () => {
    const { directories, files, sizeBytes } = success(
      make(
        [
          ["a/b/c.txt", 3],
          ["d", 4]
        ],
        ["e/f"]
      )
    )

    assert.deepStrictEqual(directories, ["a", "a/b", "e", "e/f"])
    assert.strictEqual(sizeBytes, 7)
    assert.strictEqual(files.get("a/b/c.txt")?.path, "a/b/c.txt")
  })

  it("refuses two files in one place, in whatever case, and a file that is a directory", () => {
    for (const files of [
      [
        ["a", 1],
        ["a", 2]
      ],
      [
        ["Read.me", 1],
        ["READ.ME", 2]
      ],
      [
        ["ﬁle", 1],
        ["file", 2]
      ],
      [
        ["a", 1],
        ["A/b", 2]
      ],
      [["../x", 1]],
      [["a/../../x", 1]],
      [["x\0", 1]],
      [
        ["a", Number.MAX_SAFE_INTEGER],
        ["b", 1]
      ]
    ] as ReadonlyArray<ReadonlyArray<readonly [string, number]>>)
      assert.strictEqual(failure(make(files))._tag, "NameRefused", JSON.stringify(files))
  })
})
