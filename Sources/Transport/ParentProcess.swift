// The tie to the process that started this one.
// It must not know what either is for.
import CSocket
import Glibc

/// The process that started this one.
public enum ParentProcess {
  /// Has the kernel kill this process once its parent is gone, whatever ends it; an `exec` that follows keeps that.
  /// - Parameter expected: the parent's id, so that one that is gone already is noticed.
  /// - Returns: whether the parent still lives and the tie holds.
  public static func dieWith(expected: Int32) -> Bool {
    tg_signal_on_parent_death(SIGKILL) == 0 && getppid() == expected
  }
}
