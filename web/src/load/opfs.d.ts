/** The part of the file system's interface that TypeScript lists for workers only. */
interface FileSystemSyncAccessHandle {
  read(into: Uint8Array, options?: { at: number }): number;
  write(from: Uint8Array, options?: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}
interface FileSystemFileHandle {
  /** "read-only": Chromium's; others ignore it and open the file for one holder alone. */
  createSyncAccessHandle(options?: { mode: "readwrite" | "read-only" }): Promise<FileSystemSyncAccessHandle>;
}
