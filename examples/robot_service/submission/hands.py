def other(hand):
    return {"left": "right", "right": "left"}[hand]
