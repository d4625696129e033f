"""How times grow with the number of deals: the medians of several sizes side by side."""

import markdown


def text(name, sized):
    """A table of a kind of work; `sized` holds numbers of deals and sections, smallest first."""
    sizes = [deals for deals, _ in sized]
    contestants = [contestant for contestant in sized[0][1].medians
                   if all(contestant in section.medians for _, section in sized)]
    rows = []
    for contestant in contestants:
        times = [section.medians[contestant] for _, section in sized]
        rows.append([contestant, *map(markdown.seconds, times), f"{times[-1] / times[0]:.1f} x"])
    header = ["contestant", *(f"{markdown.count(deals)} deals, s" for deals in sizes), "growth"]
    return (f"### Growth: {name}\n\nMedians; {sizes[-1] / sizes[0]:g} times the deals.\n\n"
            + markdown.table(header, rows))
