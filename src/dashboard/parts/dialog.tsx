// A question that has to be answered first: the browser's own modal dialog, which keeps the focus and gives it back.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

export interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly onSubmit?: () => void;
  /** The title has the focus: neither a button nor a field, so that the key which opened it does not also send it. */
  readonly calm?: boolean;
  readonly children: ComponentChildren;
  readonly name: string;
}

export function Dialog({ title, name, onClose, onSubmit, calm = false, children }: DialogProps) {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const opened = dialog.current;
    const before = document.activeElement;
    opened?.showModal();
    if (calm) heading.current?.focus();
    return () => {
      if (opened?.open === true) opened.close();
      // What it was opened from may be gone: then who works with the keyboard goes on at the page, not at the top of it.
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      else document.querySelector<HTMLElement>('main')?.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      data-dialog={name}
      aria-labelledby={`${id}-title`}
      // Its own closing, when it is taken away, is heard after that: only the browser's is news.
      onClose={() => dialog.current?.isConnected === true && onClose()}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <form
        method="dialog"
        autocomplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          onSubmit?.();
        }}
      >
        <h2 id={`${id}-title`} ref={heading} tabIndex={-1}>
          {title}
        </h2>
        {children}
      </form>
    </dialog>
  );
}

export interface DialogButtonsProps {
  /** What the answer does, in words. */
  readonly act: ComponentChildren;
  /** Whether it ends or refuses something. */
  readonly isDanger?: boolean;
  readonly isDisabled?: boolean;
  /** Left out where there is nothing to think better of. */
  readonly onCancel?: (() => void) | undefined;
}

/** The end of a dialog: thinking better of it first, then what it is for. */
export const DialogButtons = ({ act, isDanger = false, isDisabled = false, onCancel }: DialogButtonsProps) => (
  <div class="together end">
    {onCancel !== undefined && (
      <button type="button" class="quiet" onClick={onCancel}>
        Cancel
      </button>
    )}
    <button type="submit" class={isDanger ? 'danger' : 'main-button'} disabled={isDisabled}>
      {act}
    </button>
  </div>
);

/** Who ends much types how much, or that it is all. */
export const TypedField = ({ toType, value, onInput }: { readonly toType: string; readonly value: string; readonly onInput: (text: string) => void }) => (
  <div class="field">
    <label for="typed">Type {toType} to confirm</label>
    <input id="typed" inputMode={/^\d+$/.test(toType) ? 'numeric' : 'text'} value={value} onInput={(event) => onInput(event.currentTarget.value)} />
  </div>
);

/** What went wrong with the answer. */
export const Problem = ({ text }: { readonly text: string }) => (
  <p class="problem" role="alert">
    {text}
  </p>
);

/** What goes on the record with it. */
export function ReasonField({ value, onInput, label, required = false }: { readonly value: string; readonly onInput: (text: string) => void; readonly label: string; readonly required?: boolean }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input id={id} data-field="reason" maxLength={500} required={required} value={value} onInput={(event) => onInput(event.currentTarget.value)} />
    </div>
  );
}
