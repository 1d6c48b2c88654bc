/**
 * Effect's `FileSystem` and our `DirectoryLock` on a `MemoryDisk`: files and when they were written, directories, modes, renames
 * and syncs. Links, owners and watching are not simulated and fail as unsupported.
 */
import { ByteSize, Effect, FileSystem, Option, PlatformError, type Scope, Stream } from "effect"
import { type DirectoryLock, LockError } from "../core/storage/DirectoryLock.ts"
import * as MemoryDisk from "./MemoryDisk.ts"

/** A machine's view of its disk while it runs; afterwards every operation fails. */
export const make = (disk: MemoryDisk.MemoryDisk, isRunning: () => boolean): FileSystem.FileSystem => {
  /** A synchronous operation on a running machine. */
  const on: On = (method, path, operate) =>
    Effect.clockWith((clock) => {
      if (!isRunning()) return Effect.fail(failure("BadResource", method, path, "the machine is off"))
      const result = operate(clock.currentTimeMillisUnsafe())
      return result instanceof PlatformError.PlatformError ? Effect.fail(result) : Effect.succeed(result)
    })
  const entryAt = (method: string, path: string) => disk.find(path) ?? failure("NotFound", method, path)
  const fileAt = (method: string, path: string) => {
    const entry = disk.find(path)
    if (entry === undefined) return failure("NotFound", method, path)
    return entry._tag === "File" ? entry : failure("BadResource", method, path, "is a directory")
  }
  const refuse = (method: string) => (path: unknown) =>
    Effect.fail(failure("Unknown", method, String(path), "not simulated"))
  const stat = (path: string) =>
    on("stat", path, () => {
      const entry = entryAt("stat", path)
      return entry instanceof PlatformError.PlatformError ? entry : info(entry)
    })

  return FileSystem.make({
    access: (path) => Effect.asVoid(on("access", path, () => entryAt("access", path))),
    chmod: (path, mode) =>
      on("chmod", path, () => {
        const entry = entryAt("chmod", path)
        if (entry instanceof PlatformError.PlatformError) return entry
        entry.mode = mode
        return undefined
      }),
    makeDirectory: (path, options) => on("makeDirectory", path, () => makeDirectory(disk, path, options ?? {})),
    open: (path, options) => openFile(disk, on, path, options ?? {}),
    readDirectory: (path) =>
      on("readDirectory", path, () => {
        const entry = entryAt("readDirectory", path)
        if (entry instanceof PlatformError.PlatformError) return entry
        return entry._tag === "Directory"
          ? [...entry.entries.keys()].toSorted()
          : failure("BadResource", "readDirectory", path, "not a directory")
      }),
    readDirectoryEntries: (path) =>
      on("readDirectoryEntries", path, () => {
        const entry = entryAt("readDirectoryEntries", path)
        if (entry instanceof PlatformError.PlatformError) return entry
        const entries = entry._tag === "Directory" ? [...entry.entries] : []
        return entries.map(([name, { _tag: type }]) => ({ name, type }))
      }),
    readFile: (path) =>
      on("readFile", path, () => {
        const file = fileAt("readFile", path)
        return file instanceof PlatformError.PlatformError ? file : file.bytes.slice()
      }),
    writeFile: (path, data, options) =>
      Effect.scoped(Effect.flatMap(openFile(disk, on, path, { flag: "w", ...options }), (file) => file.writeAll(data))),
    remove: (path, options) =>
      on("remove", path, () => {
        const place = disk.place(path)
        const entry = disk.find(path)
        if (place === undefined || entry === undefined) {
          return options?.force === true ? undefined : failure("NotFound", "remove", path)
        }
        if (entry._tag === "Directory" && entry.entries.size > 0 && options?.recursive !== true) {
          return failure("Unknown", "remove", path, "directory not empty")
        }
        place.directory.entries.delete(place.name)
        return undefined
      }),
    rename: (from, to) =>
      on("rename", from, () => {
        const [source, target, entry] = [disk.place(from), disk.place(to), disk.find(from)]
        if (source === undefined || target === undefined || entry === undefined) {
          return failure("NotFound", "rename", from)
        }
        source.directory.entries.delete(source.name)
        target.directory.entries.set(target.name, entry)
        return undefined
      }),
    realPath: (path) =>
      on("realPath", path, () => {
        const entry = entryAt("realPath", path)
        return entry instanceof PlatformError.PlatformError ? entry : `/${MemoryDisk.parts(path).join("/")}`
      }),
    truncate: (path, length = 0) =>
      on("truncate", path, (nowMs) => {
        const file = fileAt("truncate", path)
        return file instanceof PlatformError.PlatformError ? file : change(file, resized(file.bytes, length), nowMs)
      }),
    stat,
    lstat: stat,
    chown: refuse("chown"),
    copy: refuse("copy"),
    copyFile: (from, to) =>
      on("copyFile", from, (nowMs) => {
        const [source, place] = [fileAt("copyFile", from), disk.place(to)]
        if (source instanceof PlatformError.PlatformError) return source
        if (place === undefined) return failure("NotFound", "copyFile", to)
        const copy = disk.makeFile(source.mode, nowMs)
        copy.bytes = source.bytes
        place.directory.entries.set(place.name, copy)
        return undefined
      }),
    link: refuse("link"),
    makeTempDirectory: refuse("makeTempDirectory"),
    makeTempDirectoryScoped: refuse("makeTempDirectoryScoped"),
    makeTempFile: refuse("makeTempFile"),
    makeTempFileScoped: refuse("makeTempFileScoped"),
    readLink: refuse("readLink"),
    symlink: refuse("symlink"),
    utimes: refuse("utimes"),
    watch: (path) => Stream.fail(failure("Unknown", "watch", path, "not simulated"))
  })
}

/** Locks of directories on a disk; a crash of the machine frees them. */
export const lock = (disk: MemoryDisk.MemoryDisk, isRunning: () => boolean): DirectoryLock["Service"] => ({
  acquire: (directory) =>
    Effect.asVoid(
      Effect.acquireRelease(
        Effect.suspend(() =>
          disk.find(directory)?._tag !== "Directory"
            ? Effect.fail(new LockError({ reason: "NotFound", directory, detail: "no such directory" }))
            : disk.lock(directory)
              ? Effect.void
              : Effect.fail(new LockError({ reason: "Held", directory, detail: "held by another process" }))
        ),
        // Whoever was stopped has lost its lock already, perhaps to its successor.
        () => Effect.sync(() => (isRunning() ? disk.unlock(directory) : undefined))
      )
    )
})

type On = <A>(
  method: string,
  path: string,
  operate: (nowMs: number) => A | PlatformError.PlatformError
) => Effect.Effect<A, PlatformError.PlatformError>

const makeDirectory = (
  disk: MemoryDisk.MemoryDisk,
  path: string,
  options: { readonly recursive?: boolean | undefined; readonly mode?: number | undefined }
): undefined | PlatformError.PlatformError => {
  let above: MemoryDisk.DiskDirectory = disk.root
  const names = MemoryDisk.parts(path)
  for (const [depth, name] of names.entries()) {
    const isLast = depth === names.length - 1
    const entry = above.entries.get(name)
    if (entry?._tag === "File" || (entry !== undefined && isLast && options.recursive !== true)) {
      return failure("AlreadyExists", "makeDirectory", path)
    }
    if (entry === undefined && !isLast && options.recursive !== true) return failure("NotFound", "makeDirectory", path)
    const directory = entry ?? disk.makeDirectory(options.mode ?? 0o777)
    above.entries.set(name, directory)
    above = directory
  }
  return undefined
}

interface OpenOptions {
  readonly flag?: FileSystem.OpenFlag | undefined
  readonly mode?: number | undefined
}

const openFile = (
  disk: MemoryDisk.MemoryDisk,
  on: On,
  path: string,
  { flag = "r", mode = 0o666 }: OpenOptions
): Effect.Effect<FileSystem.File, PlatformError.PlatformError, Scope.Scope> =>
  on("open", path, (nowMs) => {
    const place = disk.place(path)
    const known = disk.find(path)
    if (known !== undefined && flag.includes("x")) return failure("AlreadyExists", "open", path)
    if (known === undefined && (place === undefined || flag.startsWith("r"))) return failure("NotFound", "open", path)
    const entry = known ?? disk.makeFile(mode, nowMs)
    if (known === undefined) place?.directory.entries.set(place.name, entry)
    if (entry._tag === "File" && flag.startsWith("w")) change(entry, new Uint8Array(0), nowMs)
    return handle(disk, on, path, entry, flag)
  })

const handle = (
  disk: MemoryDisk.MemoryDisk,
  on: On,
  path: string,
  entry: MemoryDisk.DiskEntry,
  flag: FileSystem.OpenFlag
): FileSystem.File => {
  let cursor = 0
  const content = (method: string) =>
    entry._tag === "File" ? entry : failure("BadResource", method, path, "is a directory")
  const read = (sizeBytes: number, position: bigint | undefined) => {
    const file = content("read")
    if (file instanceof PlatformError.PlatformError) return file
    const from = position === undefined ? cursor : Number(position)
    const bytes = file.bytes.slice(from, from + sizeBytes)
    if (position === undefined) cursor += bytes.length
    return bytes
  }
  const write = (bytes: Uint8Array, nowMs: number) => {
    const file = content("write")
    if (file instanceof PlatformError.PlatformError) return file
    if (flag === "r") return failure("BadResource", "write", path, "opened for reading")
    const from = flag.startsWith("a") ? file.bytes.length : cursor
    const next = resized(file.bytes, Math.max(file.bytes.length, from + bytes.length))
    next.set(bytes, from)
    change(file, next, nowMs)
    cursor = from + bytes.length
    return bytes.length
  }
  return {
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    stat: on("stat", path, () => info(entry)),
    seek: (offset, from) =>
      on("seek", path, () => {
        cursor = Number(offset) + (from === "current" ? cursor : 0)
        return BigInt(cursor)
      }),
    sync: on("sync", path, () => disk.sync(entry, path)),
    read: (buffer, options) =>
      on("read", path, () => {
        const bytes = read(buffer.length, options?.position)
        if (bytes instanceof PlatformError.PlatformError) return bytes
        buffer.set(bytes)
        return bytes.length
      }),
    readAlloc: (sizeBytes, options) =>
      on("readAlloc", path, () => {
        const bytes = read(sizeBytes, options?.position)
        if (bytes instanceof PlatformError.PlatformError) return bytes
        return bytes.length === 0 ? Option.none() : Option.some(bytes)
      }),
    truncate: (length = 0) =>
      on("truncate", path, (nowMs) => {
        const file = content("truncate")
        return file instanceof PlatformError.PlatformError ? file : change(file, resized(file.bytes, length), nowMs)
      }),
    write: (bytes) => on("write", path, (nowMs) => write(bytes, nowMs)),
    writeAll: (bytes) => Effect.asVoid(on("writeAll", path, (nowMs) => write(bytes, nowMs)))
  }
}

const change = (file: MemoryDisk.DiskFile, bytes: Uint8Array, nowMs: number): undefined => {
  file.bytes = bytes
  file.changedAtMs = nowMs
}

/** A copy of that length, so that what was synced keeps what it had. */
const resized = (bytes: Uint8Array, length: number): Uint8Array => {
  const next = new Uint8Array(length)
  next.set(bytes.subarray(0, length))
  return next
}

const info = (entry: MemoryDisk.DiskEntry): FileSystem.File.Info => ({
  type: entry._tag,
  mtime: entry._tag === "File" ? Option.some(new Date(entry.changedAtMs)) : Option.none(),
  atime: Option.none(),
  birthtime: Option.none(),
  dev: 0n,
  ino: Option.some(BigInt(entry.inode)),
  mode: entry.mode | (entry._tag === "File" ? REGULAR_FILE : DIRECTORY),
  nlink: Option.none(),
  uid: Option.none(),
  gid: Option.none(),
  rdev: Option.none(),
  size: ByteSize.bytes(entry._tag === "File" ? entry.bytes.length : 0),
  blksize: Option.none(),
  blocks: Option.none()
})

const failure = (
  tag: PlatformError.SystemErrorTag,
  method: string,
  path: string,
  description?: string
): PlatformError.PlatformError =>
  PlatformError.systemError({
    _tag: tag,
    module: "FileSystem",
    method,
    pathOrDescriptor: path,
    ...(description === undefined ? {} : { description })
  })

/** File types in the mode, as the kernel gives them. */
const REGULAR_FILE = 0o100_000
const DIRECTORY = 0o040_000
