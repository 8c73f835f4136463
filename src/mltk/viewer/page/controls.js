// The frontend's settings as controls.

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

export class Controls {
  /** `groups` as the server describes them, `start` the values at first; `changed()` is called after each change. */
  constructor(form, groups, start, changed) {
    this.start = start;
    this.values = { ...start };
    this.changed = changed;
    this.rows = {};
    for (const group of groups) {
      form.append(this.#group(group));
    }
    form.addEventListener("submit", (event) => event.preventDefault());
    this.#show();
  }

  reset() {
    this.values = { ...this.start };
    this.#show();
    this.changed();
  }

  /** Shows a sentence beside its control and returns whether there is such a control. */
  complain(setting, sentence) {
    this.clear();
    const row = this.rows[setting];
    if (!row) {
      return false;
    }
    row.box.classList.add("wrong");
    row.error.textContent = sentence;
    row.error.hidden = false;
    row.number?.setAttribute("aria-invalid", "true");
    return true;
  }

  clear() {
    for (const { box, error, number } of Object.values(this.rows)) {
      box.classList.remove("wrong");
      error.hidden = true;
      number?.removeAttribute("aria-invalid");
    }
  }

  #group(group) {
    const box = element("fieldset");
    const head = element("div", { className: "grouphead" }, element("span", { textContent: group.title }));
    box.append(head);
    for (const setting of group.settings) {
      if (setting.kind === "bool") {
        this.#switch(setting, box, head);
      } else {
        box.append(this.#number(setting));
      }
    }
    return box;
  }

  #switch(setting, box, head) {
    const input = element("input", { type: "checkbox", className: "switch", id: setting.name, title: setting.doc });
    input.setAttribute("aria-label", head.textContent);
    input.addEventListener("change", () => this.#set(setting.name, input.checked));
    const error = element("p", { className: "error", hidden: true });
    head.append(input);
    box.append(error);
    this.rows[setting.name] = { box, error, show: (on) => ((input.checked = on), box.classList.toggle("off", !on)) };
  }

  #number(setting) {
    const error = element("p", { className: "error", hidden: true });
    const number = element("input", { type: "number", id: setting.name, step: "any", title: setting.doc });
    const range = element("input", { type: "range", min: setting.low, max: setting.high, step: setting.step, title: setting.doc });
    range.setAttribute("aria-label", `${setting.label}, slider`);
    number.addEventListener("input", () => this.#set(setting.name, number.valueAsNumber, number));
    range.addEventListener("input", () => this.#set(setting.name, range.valueAsNumber, range));
    const label = element("label", { htmlFor: setting.name, textContent: setting.label, title: setting.doc });
    const unit = element("span", { className: "unit", textContent: setting.unit });
    const box = element("div", { className: "field" }, label, element("span", { className: "number" }, number, unit), range, error);
    const show = (value, typed) => {
      if (typed !== number) {
        number.value = Number.isNaN(value) ? "" : +value.toPrecision(7);
      }
      if (typed !== range && !Number.isNaN(value)) {
        range.value = value;
      }
      box.classList.toggle("changed", value !== this.start[setting.name]);
    };
    this.rows[setting.name] = { box, error, number, show };
    return box;
  }

  #set(name, value, typed) {
    this.values[name] = value;
    this.rows[name].show(value, typed);
    this.changed();
  }

  #show() {
    for (const [name, row] of Object.entries(this.rows)) {
      row.show(this.values[name]);
    }
  }
}
