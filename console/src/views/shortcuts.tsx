import { helpOpen, SHORTCUTS, shortcutsOn } from '../state/keys';
import { Dialog } from '../ui/dialog';

/** The keys, and the switch that turns them off. */
export function Shortcuts() {
  return (
    <Dialog
      title="Keyboard shortcuts"
      onClose={() => {
        helpOpen.value = false;
      }}
    >
      <dl class="shortcuts">
        {SHORTCUTS.map(({ keys, does }) => (
          <div key={does}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label class="tick">
        <input
          type="checkbox"
          checked={shortcutsOn.value}
          onChange={(event) => {
            shortcutsOn.value = event.currentTarget.checked;
          }}
        />
        <span>Single keys act as shortcuts</span>
      </label>
    </Dialog>
  );
}
