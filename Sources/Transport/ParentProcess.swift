// What this process has to do with the one that started it.
import CSocket
import Glibc

/// The process that started this one.
public enum ParentProcess {
  /// Has the kernel kill this process when its parent ends, whatever ends it; that also holds after `exec`.
  /// - Parameter expected: the parent's id, so that a parent that has ended already is noticed.
  /// - Returns: whether the parent still runs and the kernel has agreed.
  public static func dieWith(expected: Int32) -> Bool {
    tg_signal_on_parent_death(SIGKILL) == 0 && getppid() == expected
  }
}
